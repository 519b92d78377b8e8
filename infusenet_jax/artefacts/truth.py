"""Compares where a network looks, as maps over the crop, with where the face moved.

Where the face truly moved is known of simulated databases alone: `python -m data_prep
build` writes it beside their records.
"""

from pathlib import Path

import numpy as np

from infusenet_jax.clips.faces.alignment import EYES_APART, EYES_CENTRE
from infusenet_jax.clips.prepared import prepared_databases
from infusenet_jax.clips.records import Clips
from infusenet_jax.clips.schema import GRID, TRUTH
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import read_arrays

# The mean head of the simulator: half its width, and the heights of crown and chin
# below the eyes, in distances between the pupils.
_HEAD = (1.11, -1.72, 1.84)


def share_inside(evidence: np.ndarray, region: np.ndarray) -> np.ndarray:
  """Computes which share of each map's sum lies inside a region of the map.

  Args:
    evidence: N maps, (N, H, W), not negative.
    region: (N, H, W) in [0, 1]: how much of each cell belongs to the region.

  Returns:
    (N,) in [0, 1]; NaN for a map that is 0 everywhere.
  """
  evidence = np.asarray(evidence, np.float64)
  total = evidence.sum((1, 2))
  inside = (evidence * region).sum((1, 2))
  return np.divide(inside, total, out=np.full(len(total), np.nan), where=total > 0)


def face(grid: int = GRID) -> np.ndarray:
  """Makes a mask of the face in a crop: an ellipse, (grid, grid) of 0 and 1."""
  width, crown, chin = (EYES_APART * part for part in _HEAD)
  place = (np.arange(grid) + 0.5) / grid
  x = (place - EYES_CENTRE[0]) / width
  y = (place - EYES_CENTRE[1] - (crown + chin) / 2) / ((chin - crown) / 2)
  return (x[None] ** 2 + y[:, None] ** 2 <= 1).astype(np.float32)


def read_truth(data_dir: str | Path, clips: Clips) -> np.ndarray:
  """Reads where each clip's face truly moved, (N, GRID, GRID) float32 in [0, 1].

  Args:
    data_dir: folder of the records.
    clips: the N clips, from these records.

  Raises:
    UserError: the records lack this truth, or that of one of the clips.
  """
  known = {}
  for key, folder in prepared_databases(data_dir).items():
    path = folder / TRUTH
    try:
      truth = read_arrays(path)
      moving = truth["moving"].astype(np.float32) / 255
      names = zip(truth["subject"].tolist(), truth["clip"].tolist(), strict=True)
      known |= {(key, *name): mask for name, mask in zip(names, moving, strict=True)}
    except (OSError, KeyError, ValueError) as error:
      raise UserError(
        f"{path}: where the faces truly moved cannot be read ({_reason(error)}); only "
        "simulated databases know it: if these are, delete the folder and run `python "
        "-m data_prep build` again"
      ) from error
  names = zip(clips.database, clips.subject, clips.clip, strict=True)
  try:
    return np.stack([known[tuple(map(str, name))] for name in names])
  except KeyError as error:
    raise UserError(
      f"{data_dir}: {TRUTH} lacks clip {'/'.join(error.args[0])}; delete its records "
      "and run `python -m data_prep build` again"
    ) from error


def _reason(error: Exception) -> str:
  return getattr(error, "strerror", None) or str(error)
