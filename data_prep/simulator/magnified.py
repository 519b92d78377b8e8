"""Simulates faces with magnified action units, as the truth to measure magnifiers by.

    python -m data_prep.simulator.magnified --out DIR [--clips 12]

For amp 5, 10 and 20 each clip gives DIR/<clip>-<amp>-{first,second,truth}.png, 224 px
crops of the face: at rest, at the apex, and with all displacements of its AUs amp
times as large. Between the first two the largest motion is 0.8, 0.5 and 0.3 px. Light
and head stand still, and there is no noise.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data_prep.databases.layouts import LAYOUTS
from data_prep.simulator.camera.film import CROP_EYES, Film
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.plan.population import PlannedClip, plan_database
from infusenet_jax.clips.schema import SCENE_PEAKS
from infusenet_jax.runtime.errors import UserError, exit_with_one_line

_SIZE = 224
_BELOW_EYES = 0.1  # How far the crop's centre is below the eyes, in sides of the crop.


def write_faces(clip: PlannedClip, folder: Path) -> None:
  """Films one clip at rest and, for each amp, with small and with magnified motion."""
  studio = Studio(clip.database, clip.number, seed=0)
  clip_name = f"{clip.database}-{clip.number}-{clip.filename}-{clip.onset}"
  for amp, peak in SCENE_PEAKS.items():
    frames = {"first": (0.0, clip.onset)}
    frames |= {"second": (peak, clip.true_apex), "truth": (amp * peak, clip.true_apex)}
    for name, (motion, number) in frames.items():
      film = Film(clip, studio, nuisance=0.0)
      largest = CROP_EYES * np.linalg.norm(film.field, axis=-1).max()
      film.field *= motion / largest
      film.light *= 0  # No relief: it changes the light, which is no motion to magnify.
      path = folder / f"{clip_name}-{amp}-{name}.png"
      if not cv2.imwrite(str(path), _crop(film.frame(number), studio)):
        raise UserError(f"{path}: cannot be written")


def _crop(frame: np.ndarray, studio: Studio) -> np.ndarray:
  """Cuts the face out of a frame, (_SIZE, _SIZE) or (_SIZE, _SIZE, 3) uint8."""
  scale = CROP_EYES / studio.placement.scale
  x, y = studio.placement.centre
  top = _SIZE * (0.5 - _BELOW_EYES) - scale * y
  matrix = np.float32([[scale, 0, _SIZE / 2 - scale * x], [0, scale, top]])
  if scale < 0.5:  # Linear interpolation alone would leave out pixels.
    frame = cv2.GaussianBlur(frame, (0, 0), 0.4 / scale)
  return cv2.warpAffine(
    frame, matrix, (_SIZE, _SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
  )


def main() -> None:
  """Runs the command; `python -m data_prep.simulator.magnified --help` explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m data_prep.simulator.magnified", description=__doc__.split("\n")[0]
  )
  parser.add_argument("--out", type=Path, required=True, metavar="DIR")
  parser.add_argument("--clips", type=int, default=12)
  arguments = parser.parse_args()
  arguments.out.mkdir(parents=True, exist_ok=True)
  plans = [plan_database(key, 0.02, 0, "balanced", 0.0) for key in LAYOUTS]
  # One clip of each database in turn.
  clips = [plan[i] for i in range(min(map(len, plans))) for plan in plans]
  for clip in tqdm(clips[: arguments.clips], unit="clip"):
    write_faces(clip, arguments.out)


if __name__ == "__main__":
  exit_with_one_line(main)
