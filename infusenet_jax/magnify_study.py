"""Measures magnifiers on pictures that they were not trained on; see docs/magnifier.md.

    python -m infusenet_jax.magnify_study --images DIR [--against PEER.pth] [--out DIR]

Twelve of the pictures below DIR are set in smooth sub-pixel motion, with noise and a
change of light, and magnified 5, 10 and 20 times; the truth is the same picture with
the motion times as far and the change of light once.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from infusenet_jax.errors import UserError, exit_with_one_line
from infusenet_jax.models import weights
from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.motion import displace, draw_light, draw_motion, photograph

SIZE = 224  # pixels, of the frames
PEAKS = {5: 0.8, 10: 0.5, 20: 0.3}  # amp: the largest motion between frames, in pixels
_PICTURES = (".png", ".jpg", ".jpeg")


def study(
  images: Sequence[np.ndarray], magnifiers: dict[str, Magnifier], light: float
) -> tuple[list[str], np.ndarray]:
  """The table's lines (Markdown), and a strip that shows the middle image at amp 10.

  Args:
    images: (2 SIZE, 2 SIZE, 3) in [0, 1], drawn at twice the frames' resolution.
    magnifiers: by the name that their row carries.
    light: strength of the change of light, 0 to 1; see `draw_light`.
  """
  methods = {"second frame as it is": lambda first, second, amp: second}
  methods |= {name: _magnify(magnifier) for name, magnifier in magnifiers.items()}
  scores = {name: {amp: [] for amp in PEAKS} for name in methods}
  for index, image in enumerate(images):
    for amp, peak in PEAKS.items():
      first, second, truth = make_scene(image, amp, peak, light, seed=index)
      results = {name: run(first, second, amp) for name, run in methods.items()}
      for name, found in results.items():
        scores[name][amp].append((psnr(found, truth), ssim(found, truth)))
      if index == len(images) // 2 and amp == 10:
        shown = np.concatenate([first, *results.values(), truth], axis=1)
  gains = {
    name: np.mean([artefact_gain(magnifier, image) for image in images])
    for name, magnifier in magnifiers.items()
  }
  columns = [f"{score}, amp {amp}" for amp in PEAKS for score in ("PSNR", "SSIM")]
  lines = [
    "| | " + " | ".join([*columns, "artefact gain"]) + " |",
    "|---" * (len(columns) + 2) + "|",
  ]
  for name, by_amp in scores.items():
    means = [np.mean(by_amp[amp], axis=0) for amp in PEAKS]
    cells = [f"{mean[0]:.2f} dB | {mean[1]:.3f}" for mean in means]
    gain = f"{gains[name]:.3f}" if name in gains else ""
    lines.append("| " + " | ".join([name, *cells, gain]) + " |")
  return lines, shown


def make_scene(image: np.ndarray, amp: float, peak: float, light: float, seed: int):
  """(first, second, magnified truth), (SIZE, SIZE, 3) each in [0, 1].

  The motion peaks at `peak` pixels; the light of the second frame and of the truth
  has changed with strength `light`; both frames have noise of 1 / 255.
  """
  rng = np.random.default_rng([seed, int(amp)])
  motion = draw_motion(rng, len(image), peak)
  change = draw_light(rng, SIZE, strength=light)
  first, second, truth = (_frame(image, t * motion) for t in (0, 1, amp))
  second, truth = change(second), np.clip(change(truth), 0, 1)
  first, second = (np.clip(photograph(rng, x, 1.0), 0, 1) for x in (first, second))
  return first, second, truth


def artefact_gain(magnifier: Magnifier, image: np.ndarray, amp: float = 10.0) -> float:
  """||d|| for 4 % more brightness and no motion, over ||d|| for 0.5 px of motion.

  d is the magnified difference, all that InfuseNet reads; no noise.
  """
  at_rest = _frame(0.9 * image, np.zeros((*image.shape[:2], 2), np.float32))
  moved = _frame(
    0.9 * image, np.full((*image.shape[:2], 2), 2 * 0.5 / 2**0.5, np.float32)
  )
  norms = [
    np.linalg.norm(_difference(magnifier, _batch(at_rest), _batch(second), amp))
    for second in (1.04 * at_rest, moved)
  ]
  return norms[0] / norms[1]


@nnx.jit
def _difference(magnifier: Magnifier, first, second, amp):
  a, b = magnifier.encoder(first), magnifier.encoder(second)
  return magnifier.manipulator(a, b, amp)


def _magnify(magnifier: Magnifier) -> Callable[..., np.ndarray]:
  compiled = nnx.jit(lambda magnifier, *frames: magnifier(*frames))

  def run(first, second, amp):
    frame = compiled(magnifier, _batch(first), _batch(second), jnp.float32(amp))
    return np.clip((np.asarray(frame[0]) + 1) / 2, 0, 1)

  return run


def _batch(frame: np.ndarray) -> jax.Array:
  return jnp.asarray(2 * frame - 1, jnp.float32)[None]


def _frame(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
  moved = displace(image.astype(np.float32), motion.astype(np.float32))
  frame = cv2.resize(moved, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
  return np.clip(frame, 0, 1)


def psnr(found: np.ndarray, truth: np.ndarray) -> float:
  """Peak signal-to-noise ratio in dB, of frames in [0, 1]."""
  return -10 * np.log10(np.mean((found - truth) ** 2))


def ssim(found: np.ndarray, truth: np.ndarray) -> float:
  """Structural similarity (Wang et al. 2004): Gaussian of 1.5 px, mean over RGB."""
  blur = lambda x: cv2.GaussianBlur(x, (11, 11), 1.5)  # noqa: E731
  x, y = np.float64(found), np.float64(truth)
  mx, my = blur(x), blur(y)
  vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
  c1, c2 = 0.01**2, 0.03**2
  similarity = (2 * mx * my + c1) * (2 * vxy + c2)
  similarity /= (mx**2 + my**2 + c1) * (vx + vy + c2)
  return float(similarity.mean())


def read_images(folder: Path, count: int = 12) -> list[np.ndarray]:
  """Up to `count` of the pictures below a folder, cut square and resized for `study`.

  They are spaced evenly in the order of their paths: databases, subjects, clips.

  Raises:
    UserError: there are none, or one cannot be read.
  """
  paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _PICTURES)
  if not paths:
    raise UserError(f"--images {folder}: no .png or .jpg pictures there")
  step = max(len(paths) / count, 1)
  return [_read_image(paths[int(i * step)]) for i in range(min(count, len(paths)))]


def _read_image(path: Path) -> np.ndarray:
  image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
  if image is None:
    raise UserError(f"{path}: not a picture that can be read")
  side = min(image.shape[:2])
  top, left = ((n - side) // 2 for n in image.shape[:2])
  square = image[top : top + side, left : left + side]
  way = cv2.INTER_AREA if side > 2 * SIZE else cv2.INTER_CUBIC
  resized = cv2.resize(np.float32(square) / 255, (2 * SIZE,) * 2, interpolation=way)
  return np.clip(resized, 0, 1)


def main() -> None:
  """The command; `python -m infusenet_jax.magnify_study --help` explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.magnify_study", description=__doc__.split("\n")[0]
  )
  parser.add_argument("--images", type=Path, required=True, metavar="DIR")
  parser.add_argument("--weights", default="pretrained", metavar="FILE")
  parser.add_argument("--against", type=Path, metavar="FILE", help="other weights")
  parser.add_argument("--light", type=float, default=0.5, help="its change, 0 to 1")
  parser.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR")
  arguments = parser.parse_args()
  files = {"ours": arguments.weights}
  if arguments.against:
    files["peer"] = arguments.against
  magnifiers = {name: Magnifier(rngs=nnx.Rngs(0)) for name in files}
  for name, file in files.items():
    weights.load_magnifier(magnifiers[name], file)
  images = read_images(arguments.images)
  lines, shown = study(images, magnifiers, arguments.light)
  print(f"{len(images)} pictures of {arguments.images}", *lines, sep="\n")
  arguments.out.mkdir(parents=True, exist_ok=True)
  picture = arguments.out / "magnifier.jpg"
  pixels = np.uint8(np.round(255 * np.clip(shown, 0, 1)))
  cv2.imwrite(str(picture), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
  panels = ["first frame", "second frame", *magnifiers, "truth"]
  print(f"{picture}: {', '.join(panels)}; amp 10")


if __name__ == "__main__":
  exit_with_one_line(main)
