"""Where a network looks, as maps over the crop, and where the face truly moved.

Truth is known of simulated databases alone: `python -m data_prep build` puts it beside
their records.
"""

from pathlib import Path

import numpy as np

from infusenet_jax.clips.alignment import EYES_APART, EYES_CENTRE
from infusenet_jax.clips.prepared import prepared_databases
from infusenet_jax.clips.records import Clips
from infusenet_jax.clips.schema import GRID, TRUTH
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import read_arrays

# The mean head of the simulator: half its width, its crown and its chin, in distances
# between the pupils.
_HEAD = (1.11, -1.72, 1.84)


def share_inside(evidence: np.ndarray, region: np.ndarray) -> np.ndarray:
  """Share of each map's sum inside its region, (N,) in [0, 1]; NaN of an empty map.

  Args:
    evidence: (N, H, W), not negative.
    region: (N, H, W) in [0, 1], how much of each cell belongs to it.
  """
  evidence = np.asarray(evidence, np.float64)
  total = evidence.sum((1, 2))
  inside = (evidence * region).sum((1, 2))
  return np.divide(inside, total, out=np.full(len(total), np.nan), where=total > 0)


def face(grid: int = GRID) -> np.ndarray:
  """The part of a crop that shows the face, (grid, grid) of 0 and 1: an ellipse."""
  width, crown, chin = (EYES_APART * part for part in _HEAD)
  place = (np.arange(grid) + 0.5) / grid
  x = (place - EYES_CENTRE[0]) / width
  y = (place - EYES_CENTRE[1] - (crown + chin) / 2) / ((chin - crown) / 2)
  return (x[None] ** 2 + y[:, None] ** 2 <= 1).astype(np.float32)


def read_truth(data_dir: str | Path, clips: Clips) -> np.ndarray:
  """Where each clip's face truly moved, (N, GRID, GRID) float32 in [0, 1].

  Raises:
    UserError: the records hold no truth, or not that of every clip.
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
