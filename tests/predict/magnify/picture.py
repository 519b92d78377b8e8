"""The picture of docs/magnifier.md: a photographed face in a film, magnified.

    python -m tests.predict.magnify.picture docs/magnified.jpg

The face is Eileen Collins's, skimage.data.astronaut() (public domain, NASA), moved by
one AU as tests/predict/astronaut.py does, filmed at 100 frames a second and encoded;
what the command makes of that film is shown.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from infusenet_jax.predict.magnify import command
from infusenet_jax.predict.show.film import Film
from infusenet_jax.predict.watch.video import open_footage
from tests.predict.astronaut import APEX, FPS, ONSET, animate

AU, PIXELS, AMP = 12, 0.8, 8
SIDE = 300  # Of a panel, pixels.
SLICE = 0.36  # Of the side from the left: the column that is shown over time.
_GAP = 6


def picture(folder: Path) -> np.ndarray:
  """Onset, apex, magnified apex; one column over time, before and after."""
  film, larger = folder / "film.mp4", folder / "magnified.mp4"
  with Film(film, FPS) as writer:
    for number, frame in enumerate(animate(AU, PIXELS)):
      writer.write(number / FPS, frame)
  given = [film, "--face", "--side-by-side", "--amp", AMP, "--out", larger]
  command.main([str(one) for one in given])
  frames = np.stack([frame.image for frame in open_footage(larger)])
  before, after = np.split(frames, 2, axis=2)
  panels = [before[ONSET], before[APEX], after[APEX]]
  panels = [cv2.resize(x, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for x in panels]
  column = round(SLICE * before.shape[2])
  rows = slice(round(0.5 * before.shape[1]), None)  # From the nose down.
  for film_frames in (before, after):
    over_time = film_frames[:, rows, column].swapaxes(0, 1)
    panels.append(cv2.resize(over_time, (SIDE // 2, SIDE)))
  gap = np.full((SIDE, _GAP, 3), 255, np.uint8)
  parts = [part for panel in panels for part in (panel, gap)]
  return np.concatenate(parts[:-1], axis=1)


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m tests.predict.magnify.picture")
  parser.add_argument("picture", type=Path, help="the JPEG to be written")
  options = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    image = picture(Path(folder))
  how = [cv2.IMWRITE_JPEG_QUALITY, 88]
  cv2.imwrite(str(options.picture), image[..., ::-1], how)


if __name__ == "__main__":
  main()
