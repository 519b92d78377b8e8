"""Measures how exact the optical flow is, compared with OpenCV's; writes docs/flow.md.

  python -m infusenet_jax.benchmark.flow_accuracy --out docs/flow.md

OpenCV's TV-L1 is only in opencv-contrib-python-headless, the photographs of China and
of a flower only in scikit-learn. What is not installed is left out, and the page says
so.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from scipy.ndimage import map_coordinates
from tqdm import tqdm

from infusenet_jax.clips.flow.optical_flow import optical_flow
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.text import markdown_table

SIZE = 224
PEAKS = (0.3, 0.8, 2.0)  # pixels
LIGHTS = {"plain": (0.0, 0.0), "gain 4 %": (0.04, 0.0), "ramp 8 %": (0.0, 0.08)}
FIELDS = 2  # motions per picture
NOISE = 1.5  # standard deviation, grey levels, in both frames
BUMP = (10.0, 18.0)  # sigma of the motion's bumps, pixels

PAGE = """\
# Optical flow: how exact, how fast

Made by `python -m infusenet_jax.benchmark.flow_accuracy --out docs/flow.md`; do not
edit.

Relative error (RMS error / RMS motion, mean over {pairs} pairs per column) of the flow
between a picture and its copy, {size} px, moved by four smooth bumps (sigma {low:.0f}
to {high:.0f} px) of the given peak in pixels. Grey noise of {noise} of 255 in both
frames, rounded to 8 bits. *gain*: the second frame 4 % brighter; *ramp*: its
brightness changes linearly from -4 % to +4 % across the frame. An error of 1 is what
no answer at all (zero flow) gets.

{table}

Pictures: {pictures}.
Milliseconds are the best of {repeats} runs on {cores} cores
(other work on the machine: load {load:.1f}), ours in batches of {batch}, compilation
({compile:.0f} s per shape) not counted.{absent}

By picture, infusenet_jax.clips.flow.optical_flow, no change of light:

{by_picture}

## The method

`clips/flow/optical_flow.py` solves for motion, gain and offset together (the
generalised dynamic image model). Gain and offset are eliminated in a Gaussian window of
sigma 8 px, so that a ramp of the light is as harmless as a gain. The motion has a
Gaussian prior, a sum of bumps on grids of 4, 8, 16 and 32 px plus a free shift of the
head, weighed against the data by noise and motion estimated from the pair itself: where
there is texture it resolves bumps of a few pixels, where there is none it interpolates.
Three pyramid levels, two warps each, four conjugate-gradient iterations per warp.
Pixels that no motion explains (blinks, reflexes) are weighed down.

## What it does not do

* Where nothing has texture the flow is the prior's smooth continuation.
* Motion edges (an eyelid over the eye) are rounded over about 8 px.
* A change of light of finer structure than 8 px, such as a moving shadow's edge or
  a reflex, can look like motion.
"""


def main() -> None:
  """Parses the flags, measures and writes or prints the page."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.benchmark.flow_accuracy",
    description="Measures the optical flow beside OpenCV's methods (minutes).",
  )
  parser.add_argument("--out", type=Path, help="Markdown file; printed without it")
  args = parser.parse_args()
  if args.out and not args.out.parent.is_dir():
    raise UserError(f"--out {args.out}: no folder {args.out.parent}; make it first")
  page = report()
  if args.out:
    args.out.write_text(page, encoding="utf-8")
  print(page)


def report() -> str:
  """Runs every method on every pair and returns the page."""
  images, methods = pictures(), opencv_methods()
  batches = [
    [
      pair(image, peak, gain, ramp, seed=FIELDS * i + field)
      for i, image in enumerate(images.values())
      for field in range(FIELDS)
    ]
    for peak in PEAKS
    for gain, ramp in LIGHTS.values()
  ]
  batches = [tuple(map(np.stack, zip(*pairs, strict=True))) for pairs in batches]

  def ours(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.asarray(optical_flow(first, second))

  compile_time = seconds(ours, *batches[0][:2])
  errors = {"**infusenet_jax.clips.flow**": []}
  for first, second, truth in tqdm(batches, desc="infusenet_jax.clips.flow"):
    errors["**infusenet_jax.clips.flow**"].append(
      relative_error(ours(first, second), truth)
    )
  repeats, (first, second, _) = 8, batches[0]
  times = [min(seconds(ours, first, second) for _ in range(repeats)) / len(first)]
  for name, method in methods.items():
    errors[name] = []
    for first, second, truth in tqdm(batches, desc=name):
      flow = np.stack([method(a, b) for a, b in zip(first, second, strict=True)])
      errors[name].append(relative_error(flow, truth))
    spent = [seconds(method, first[0], second[0]) for _ in range(repeats)]
    times.append(min(spent))

  columns = [f"{peak} px, {light}" for peak in PEAKS for light in LIGHTS]
  rows = [["method", *columns, "ms / pair"]]
  rows += [
    [name, *(f"{e.mean():.2f}" for e in by_column), f"{1000 * spent:.0f}"]
    for (name, by_column), spent in zip(errors.items(), times, strict=True)
  ]
  mine = errors["**infusenet_jax.clips.flow**"][:: len(LIGHTS)]
  by_picture = [["picture", *(f"{peak} px" for peak in PEAKS)]]
  by_picture += [
    [name, *(f"{e[FIELDS * i : FIELDS * (i + 1)].mean():.2f}" for e in mine)]
    for i, name in enumerate(images)
  ]
  absent = [] if len(images) > 4 else ["scikit-learn's photographs"]
  absent += [] if "OpenCV TV-L1" in methods else ["OpenCV's TV-L1 (opencv-contrib)"]
  return PAGE.format(
    pairs=len(first),
    size=SIZE,
    low=BUMP[0],
    high=BUMP[1],
    noise=NOISE,
    table=markdown_table(rows),
    pictures=", ".join(images),
    repeats=repeats,
    cores=len(os.sched_getaffinity(0)),
    load=os.getloadavg()[0],
    batch=len(first),
    compile=compile_time,
    absent=f" Not installed, so left out: {' and '.join(absent)}." if absent else "",
    by_picture=markdown_table(by_picture),
  )


def pictures() -> dict[str, np.ndarray]:
  """Collects grey pictures by name, (SIZE, SIZE) float32.

  They are photographs that installed packages bring along, whole and in part, and two
  textures of a natural spectrum.
  """
  sample = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
  photograph = cv2.imread(str(sample), cv2.IMREAD_GRAYSCALE)
  if photograph is None:
    raise UserError(f"{sample}: not readable; reinstall matplotlib")
  found = {
    "Grace Hopper": photograph[:512],
    "her face": photograph[60:360, 110:410],
  }
  try:
    from sklearn.datasets import load_sample_image
  except ImportError:
    pass  # Left out; the page says so.
  else:
    for name in ("china", "flower"):
      grey = cv2.cvtColor(load_sample_image(f"{name}.jpg"), cv2.COLOR_RGB2GRAY)
      found |= {name: grey[:, 107:534], f"{name}, detail": grey[120:400, 160:440]}
  found = {
    name: cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    for name, grey in found.items()
  }
  generator = np.random.default_rng(7)
  frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIZE), np.fft.fftfreq(SIZE)))
  frequency[0, 0] = 1
  for name, slope in (("rough texture", 1.2), ("smooth texture", 1.7)):
    noise = np.fft.fft2(generator.normal(size=(SIZE, SIZE)))
    texture = np.fft.ifft2(noise * frequency**-slope).real
    found[name] = np.clip(128 + 35 * texture / texture.std(), 0, 255)
  return {name: grey.astype(np.float32) for name, grey in found.items()}


def pair(
  image: np.ndarray, peak: float, gain: float, ramp: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Moves a picture by four bumps, then changes the light: (first, second, flow).

  `second` at x + flow(x) shows what `first` shows at x, exactly: the bumps are
  evaluated where each pixel of `second` came from, found by fixed-point iteration.
  """
  generator = np.random.default_rng(seed)
  n = len(image)
  centres = generator.uniform(0.15 * n, 0.85 * n, (4, 2))
  sigmas = generator.uniform(*BUMP, 4)
  angles = generator.uniform(0, 2 * np.pi, 4)

  def motion(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    bumps = [
      np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
      for (cx, cy), sigma in zip(centres, sigmas, strict=True)
    ]
    return np.tensordot([np.sin(angles), np.cos(angles)], bumps, 1)

  at = np.mgrid[:n, :n].astype(float)
  scale = peak / np.linalg.norm(motion(*at), axis=0).max()
  source = at
  for _ in range(30):
    source = at - scale * motion(*source)
  second = map_coordinates(image, source, order=5, mode="nearest")
  second = second * (1 + gain + ramp * np.linspace(-0.5, 0.5, n))
  frames = np.stack([image, second]) + generator.normal(0, NOISE, (2, n, n))
  frames = np.clip(np.round(frames), 0, 255).astype(np.float32)
  v, u = scale * motion(*at)
  return *frames, np.stack([u, v], -1)


def opencv_methods() -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
  """Returns OpenCV's methods by name; TV-L1 only if opencv-contrib is installed."""
  dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  settings = (None, 0.5, 3, 15, 3, 5, 1.2, 0)  # as in OpenCV's tutorial
  methods = {
    "OpenCV DIS medium": lambda a, b: dis.calc(a.astype("u1"), b.astype("u1"), None),
    "OpenCV Farneback": lambda a, b: cv2.calcOpticalFlowFarneback(a, b, *settings),
  }
  if hasattr(cv2, "optflow"):
    tv_l1 = cv2.optflow.DualTVL1OpticalFlow_create()
    methods["OpenCV TV-L1"] = lambda a, b: tv_l1.calc(
      a.astype("u1"), b.astype("u1"), None
    )
  return methods


def relative_error(flow: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """Computes RMS error / RMS motion, (B,), of each of the flows (B, H, W, 2)."""
  axes = (1, 2, 3)
  return np.sqrt(((flow - truth) ** 2).mean(axes) / (truth**2).mean(axes))


def seconds(method: Callable, *frames: np.ndarray) -> float:
  """Measures the wall-clock seconds of one call."""
  start = time.perf_counter()
  method(*frames)
  return time.perf_counter() - start


if __name__ == "__main__":
  exit_with_one_line(main)
