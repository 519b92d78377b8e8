"""Draws the picture of docs/simulator.md: people, and what the 12 AUs do to a face.

    python -m data_prep.simulator.gallery --out docs/simulator.jpg

First a subject of each database. Then the 12 AUs on one subject, without nuisance,
three times as strong as the strongest clip, and as strong as it. At the end, of the
latter, how light changes by bulges and folds, brighter skin orange, darker skin blue,
with arrows of the motion, five times as long as it is.
"""

import argparse
import dataclasses
from pathlib import Path

import cv2
import numpy as np

from data_prep.databases.layouts import LAYOUTS
from data_prep.simulator.camera.film import CROP_EYES, Film, face_change
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.plan.population import (
  DATABASES,
  INTENSITY,
  Shown,
  at_rest,
  plan_database,
)
from data_prep.simulator.portrait import action_units, canvas
from infusenet_jax.clips.labels import AUS
from infusenet_jax.runtime.errors import UserError, exit_with_one_line

_TILE = (160, 190)  # Width and height, pixels.
_COLUMNS = 6
_HEAD, _FACE = (0.0, 0.1, 2.1), (0.0, 0.5, 1.5)  # Centre, and half the height.
_ARROWS = 5.0
_FULL_COLOUR = 0.1  # Change of light.


def draw(
  database: str, number: int, magnified: float = 9.0, tile: tuple[int, int] = _TILE
) -> np.ndarray:
  """Draws the whole picture, (H, W, 3) uint8, blue-green-red.

  Args:
    database, number: the subject that shows the AUs.
    magnified: largest motion of the strongest, pixels of a 224 px crop.
    tile: width and height of each face, pixels.
  """
  tiles = []
  for key in DATABASES:
    film, name = _at_rest(key, 2), LAYOUTS[key].folders[0].removesuffix(" part A")
    tiles.append(_tile(film, film.frame(1), _HEAD, tile, name))
  film, natural = _at_rest(database, number), INTENSITY[1]
  for peak, picture in ((magnified, _frame), (natural, _frame), (natural, _map)):
    for au in AUS:
      shown = (Shown(au, peak, peak),)
      film.field, film.light = face_change(shown, film.studio, peak)
      name = f"AU {au}" if peak == magnified else f"AU {au}: {peak:g} px"
      tiles.append(_tile(film, picture(film), _FACE, tile, name))
  rows = range(0, len(tiles), _COLUMNS)
  return np.vstack([np.hstack(tiles[i : i + _COLUMNS]) for i in rows])


def _at_rest(database: str, number: int) -> Film:
  """A film of a subject at rest, without nuisance."""
  clip = at_rest(plan_database(database, 0.02, 0, "statistics", 0.0)[0])
  number += clip.number - 1
  clip = dataclasses.replace(clip, number=number, onset=1, true_apex=11, offset=21)
  return Film(clip, Studio(database, number, seed=0), nuisance=0.0)


def _frame(film: Film) -> np.ndarray:
  return film.frame(film.clip.true_apex)


def _map(film: Film) -> np.ndarray:
  """The onset, pale, under its change of light and arrows of its motion."""
  picture = 0.35 * _colour(film.frame(film.clip.onset)) + 150
  rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
  x, y = film.studio.placement.to_face(columns, rows)
  at = [
    (v - low) * canvas.PIXELS / action_units.STEP
    for v, low in ((x, canvas.LEFT), (y, canvas.TOP))
  ]
  light = cv2.remap(film.light, *map(np.float32, at), cv2.INTER_LINEAR)
  light = np.clip(light / _FULL_COLOUR, -1, 1)[..., None]
  for tone, share in (((30, 130, 255), light), ((200, 90, 20), -light)):
    picture += np.maximum(share, 0) * (np.array(tone) - picture)
  picture = np.clip(picture, 0, 255).astype(np.uint8)
  step = round(0.12 * canvas.PIXELS / action_units.STEP)
  motions = film.field[::step, ::step]
  starts = np.stack(canvas.grid(action_units.STEP), -1)[::step, ::step]
  far = np.linalg.norm(motions, axis=-1) * CROP_EYES > 0.2 * INTENSITY[1]
  for start, motion in zip(starts[far], motions[far], strict=True):
    ends = (
      film.studio.placement.to_frame(*p) for p in (start, start + _ARROWS * motion)
    )
    ends = (tuple(round(float(v)) for v in p) for p in ends)
    cv2.arrowedLine(picture, *ends, (40, 40, 40), 1, cv2.LINE_AA, tipLength=0.3)
  return picture


def _tile(film: Film, picture: np.ndarray, part, size, name: str) -> np.ndarray:
  """Cuts a part of the face, (x, y, half its height), out of a frame."""
  x, y = film.studio.placement.to_frame(*part[:2])
  scale = size[1] / (2 * part[2] * film.studio.placement.scale)
  move = np.float32(
    [[scale, 0, size[0] / 2 - scale * x], [0, scale, size[1] / 2 - scale * y]]
  )
  picture = _colour(picture)
  if scale < 0.8:  # Linear interpolation alone would leave out pixels.
    picture = cv2.GaussianBlur(picture, (0, 0), 0.35 / scale)
  tile = cv2.warpAffine(picture, move, size, borderMode=cv2.BORDER_REPLICATE)
  for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
    cv2.putText(
      tile, name, (5, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.48, colour, width, cv2.LINE_AA
    )
  return tile


def _colour(picture: np.ndarray) -> np.ndarray:
  return picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)


def main() -> None:
  """Runs the command; `python -m data_prep.simulator.gallery --help` explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m data_prep.simulator.gallery", description=__doc__.split("\n")[0]
  )
  parser.add_argument("--out", type=Path, required=True, metavar="PICTURE")
  parser.add_argument("--database", choices=DATABASES, default="casme2")
  parser.add_argument("--subject", type=int, default=2, help="which of its subjects")
  arguments = parser.parse_args()
  picture = draw(arguments.database, arguments.subject)
  if not cv2.imwrite(str(arguments.out), picture, [cv2.IMWRITE_JPEG_QUALITY, 85]):
    raise UserError(f"{arguments.out}: cannot be written")


if __name__ == "__main__":
  exit_with_one_line(main)
