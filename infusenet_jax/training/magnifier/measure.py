"""Measures magnifiers on pictures that they were not trained on; see docs/magnifier.md.

    python -m infusenet_jax.training.magnifier.measure --images DIR | --scenes DIR
      [--against PEER.pth] [--out DIR]

Twelve of the pictures below the first DIR are set in smooth sub-pixel motion, with
noise and a change of light, and magnified 5, 10 and 20 times; the truth is the same
picture with the motion times as far and the change of light once. The second DIR
holds first frames, second frames and truths as files, as
`python -m data_prep.simulator.magnified` writes them.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from infusenet_jax.clips.schema import SCENE_PEAKS, SCENE_ROLES
from infusenet_jax.models import weights
from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.text import markdown_table
from infusenet_jax.training.magnifier.scenes import (
  displace,
  draw_light,
  draw_motion,
  photograph,
)

SIZE = 224  # pixels, of the frames
_PICTURES = (".png", ".jpg", ".jpeg")


class Scene(NamedTuple):
  """Two frames and the true magnified second frame, (H, W, 3) each, in [0, 1]."""

  amp: int
  first: np.ndarray
  second: np.ndarray
  truth: np.ndarray


def study(
  scenes: Sequence[Scene], magnifiers: dict[str, Magnifier]
) -> tuple[str, np.ndarray]:
  """Measures magnifiers by name on scenes.

  `artefact_gain` is measured on the first frames of the scenes.

  Returns:
    The table, in Markdown, and a picture that shows the middle scene at amp 10.
  """
  methods = {"second frame as it is": lambda first, second, amp: second}
  methods |= {name: _magnify(magnifier) for name, magnifier in magnifiers.items()}
  scores = {name: {amp: [] for amp in SCENE_PEAKS} for name in methods}
  strips = []
  for amp, first, second, truth in scenes:
    results = {name: run(first, second, amp) for name, run in methods.items()}
    for name, found in results.items():
      scores[name][amp].append((psnr(found, truth), ssim(found, truth)))
    if amp == 10:
      strips.append(np.concatenate([first, *results.values(), truth], axis=1))
  pictures = [scene.first for scene in scenes if scene.amp == 10]
  columns = [f"{score}, amp {amp}" for amp in SCENE_PEAKS for score in ("PSNR", "SSIM")]
  rows = [["", *columns, "artefact gain"]]
  for name, by_amp in scores.items():
    means = [np.mean(by_amp[amp], axis=0) for amp in SCENE_PEAKS]
    cells = [cell for db, s in means for cell in (f"{db:.2f} dB", f"{s:.3f}")]
    gain = ""
    if name in magnifiers:
      gains = [artefact_gain(magnifiers[name], picture) for picture in pictures]
      gain = f"{np.mean(gains):.3f}"
    rows.append([name, *cells, gain])
  return markdown_table(rows), strips[len(strips) // 2]


def make_scenes(images: Sequence[np.ndarray], light: float) -> Iterator[Scene]:
  """Makes from each image (2 SIZE, 2 SIZE, 3), in [0, 1], a scene for every amp."""
  for index, image in enumerate(images):
    for amp, peak in SCENE_PEAKS.items():
      yield make_scene(image, amp, peak, light, seed=index)


def make_scene(
  image: np.ndarray, amp: int, peak: float, light: float, seed: int
) -> Scene:
  """Sets an image in smooth motion and makes frames of SIZE x SIZE of it.

  The motion peaks at `peak` pixels; the light of the second frame and of the truth
  has changed with strength `light`; both frames have noise of 1 / 255.
  """
  rng = np.random.default_rng([seed, amp])
  motion = draw_motion(rng, len(image), peak)
  change = draw_light(rng, SIZE, strength=light)
  first, second, truth = (_frame(image, t * motion) for t in (0, 1, amp))
  second, truth = change(second), np.clip(change(truth), 0, 1)
  first, second = (np.clip(photograph(rng, x, 1.0), 0, 1) for x in (first, second))
  return Scene(amp, first, second, truth)


def artefact_gain(magnifier: Magnifier, picture: np.ndarray, amp: int = 10) -> float:
  """Computes how strongly a magnifier responds to light, relative to motion.

  That is ||d|| for 4 % more brightness and no motion, divided by ||d|| for 0.5 px of
  motion, where d is the magnified difference, all that InfuseNet reads. No noise is
  added.
  """
  at_rest = np.float32(0.9 * picture)
  moved = displace(at_rest, np.full((*picture.shape[:2], 2), 0.5 / 2**0.5, np.float32))
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
  """Computes the peak signal-to-noise ratio in dB, of frames in [0, 1]."""
  return -10 * np.log10(np.mean((found - truth) ** 2))


def ssim(found: np.ndarray, truth: np.ndarray) -> float:
  """Computes structural similarity (Wang et al. 2004): Gaussian of 1.5 px, RGB mean."""
  blur = lambda x: cv2.GaussianBlur(x, (11, 11), 1.5)  # noqa: E731
  x, y = np.float64(found), np.float64(truth)
  mx, my = blur(x), blur(y)
  vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
  c1, c2 = 0.01**2, 0.03**2
  similarity = (2 * mx * my + c1) * (2 * vxy + c2)
  similarity /= (mx**2 + my**2 + c1) * (vx + vy + c2)
  return float(similarity.mean())


def read_images(folder: Path, count: int = 12) -> list[np.ndarray]:
  """Reads up to `count` pictures below a folder, cut square and resized for `study`.

  They are chosen evenly from all pictures in the order of their paths, so that
  different databases, subjects and clips are among them.

  Raises:
    UserError: there are no pictures, or one cannot be read.
  """
  paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _PICTURES)
  if not paths:
    raise UserError(f"--images {folder}: no .png or .jpg pictures there")
  step = max(len(paths) / count, 1)
  return [_read_image(paths[int(i * step)]) for i in range(min(count, len(paths)))]


def read_scenes(folder: Path) -> Iterator[Scene]:
  """Reads the scenes in a folder, NAME-AMP-{first,second,truth}.png, and adds noise.

  The noise is added to the first and second frames, not to the truth.

  Raises:
    UserError: there are no scenes, or a picture cannot be read.
  """
  firsts = sorted(folder.glob("*-first.png"))
  if not firsts:
    raise UserError(f"--scenes {folder}: no NAME-AMP-first.png there")
  for index, path in enumerate(firsts):
    stem = path.name.removesuffix("-first.png")
    first, second, truth = (
      _read(path.with_name(f"{stem}-{role}.png")) for role in SCENE_ROLES
    )
    rng = np.random.default_rng(index)
    first, second = (np.clip(photograph(rng, x, 1.0), 0, 1) for x in (first, second))
    yield Scene(int(stem.rsplit("-", 1)[1]), first, second, truth)


def _read(path: Path) -> np.ndarray:
  image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
  if image is None:
    raise UserError(f"{path}: not a picture that can be read")
  return np.float32(image) / 255


def _read_image(path: Path) -> np.ndarray:
  image = _read(path)
  side = min(image.shape[:2])
  top, left = ((n - side) // 2 for n in image.shape[:2])
  square = image[top : top + side, left : left + side]
  way = cv2.INTER_AREA if side > 2 * SIZE else cv2.INTER_CUBIC
  resized = cv2.resize(square, (2 * SIZE,) * 2, interpolation=way)
  return np.clip(resized, 0, 1)


def main() -> None:
  """Runs the command; its --help explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.training.magnifier.measure",
    description=__doc__.split("\n")[0],
  )
  source = parser.add_mutually_exclusive_group(required=True)
  source.add_argument("--images", type=Path, metavar="DIR", help="pictures to move")
  source.add_argument("--scenes", type=Path, metavar="DIR", help="frames and truths")
  parser.add_argument("--weights", default="pretrained", metavar="FILE")
  parser.add_argument("--against", type=Path, metavar="FILE", help="other weights")
  parser.add_argument(
    "--light",
    type=float,
    default=0.5,
    metavar="X",
    help="how much it changes over the images, 0 to 1",
  )
  parser.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR")
  arguments = parser.parse_args()
  files = {"ours": arguments.weights}
  if arguments.against:
    files["peer"] = arguments.against
  magnifiers = {name: Magnifier(rngs=nnx.Rngs(0)) for name in files}
  for name, file in files.items():
    weights.load_magnifier(magnifiers[name], file)
  if arguments.scenes:
    scenes = list(read_scenes(arguments.scenes))
  else:
    scenes = list(make_scenes(read_images(arguments.images), arguments.light))
  table, shown = study(scenes, magnifiers)
  folder = arguments.scenes or arguments.images
  print(f"{len(scenes)} scenes of {folder}", table, sep="\n")
  arguments.out.mkdir(parents=True, exist_ok=True)
  picture = arguments.out / "magnifier.jpg"
  pixels = np.uint8(np.round(255 * np.clip(shown, 0, 1)))
  cv2.imwrite(str(picture), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
  panels = ["first frame", "second frame", *magnifiers, "truth"]
  print(f"{picture}: {', '.join(panels)}; amp 10")


if __name__ == "__main__":
  exit_with_one_line(main)
