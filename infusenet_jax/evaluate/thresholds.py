"""Thresholds per AU, fitted inside a fold's training databases. Plain NumPy.

CD6ME decides at logit 0. A network that was trained on rare AUs hardly ever reaches it,
and no clip of the database that is tested may say where to decide instead. So one of
the training databases after the other is left out as well: networks that saw neither
`casme` nor `samm` predict both, and what they say of `samm` tells where the fold
`casme` should decide, what they say of `casme` where the fold `samm` should.
"""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from infusenet_jax.clips.labels import AUS
from infusenet_jax.evaluate.documents import to_csv
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.run_files import THRESHOLDS, left_out

ZERO, FITTED = "0", "fitted"  # What `config.decide_at` may be.
SAID_OF_FITTED = "decided at thresholds fitted in training databases"
COLUMNS = ("fold", "seed", *(f"threshold_AU{au}" for au in AUS))


def best_threshold(labels: np.ndarray, logits: np.ndarray) -> float:
  """Finds the threshold with the highest binary F1; positive where logit > it.

  Thresholds between two neighbouring logits decide alike: 0 stands for them if it lies
  there, else their middle. Below the lowest logit it is that minus 1. Of several with
  the same F1 the one nearest to 0 is taken, of two as near the higher. Where no label
  is positive no threshold is better than another, and it is 0.

  Args:
    labels: (N,), 0 or 1, of one AU.
    logits: (N,), finite.
  """
  labels, logits = np.asarray(labels) > 0, np.asarray(logits, np.float64)
  if not labels.any():
    return 0.0
  values, place = np.unique(logits, return_inverse=True)
  # Ends of the intervals: what is at or above values[i] is positive, i = 0, 1, ...
  low = np.concatenate([[values[0] - 2], values[:-1]])
  middles = low + (values - low) / 2
  holds_zero = (low <= 0) & (values > 0)
  holds_zero[0] = values[0] > 0
  candidates = np.where(holds_zero, 0.0, middles)
  positive = np.bincount(place, minlength=len(values))[::-1].cumsum()[::-1]
  right = np.bincount(place, labels, len(values))[::-1].cumsum()[::-1]
  f1 = 2 * right / (positive + labels.sum())
  best = candidates[f1 == f1.max()]
  return float(max(best, key=lambda at: (-abs(at), at)))


def fit_thresholds(predictions: Predictions, fold: str) -> np.ndarray:
  """Fits the thresholds (12,) of the fold that leaves out the database `fold`.

  Clips of that database have no say, whatever `predictions` holds of them.

  Args:
    predictions: of one seed, of folds that leave out two databases, `fold` among them.
    fold: key of a database.

  Raises:
    ValueError: a prediction is of a fold that does not leave out the database, so that
      its network may have been trained on it; or no other database was predicted.
  """
  if wrong := {x for x in predictions.fold.tolist() if fold not in left_out(x)}:
    raise ValueError(f"folds {', '.join(sorted(wrong))} do not leave {fold} out")
  others = predictions[predictions.database != fold]
  if not len(others):
    raise ValueError(f"no predictions of another database than {fold}")
  pairs = zip(others.labels.T, others.logits.T, strict=True)
  return np.array([best_threshold(labels, logits) for labels, logits in pairs])


def decided_at(predictions: Predictions, thresholds: np.ndarray) -> Predictions:
  """The predictions with the thresholds (12,) subtracted, so that > 0 decides at them.

  A logit that is not above its threshold stays at or below 0, whatever is rounded.
  """
  return replace(predictions, logits=predictions.logits - thresholds)


def write_thresholds(
  folder: Path, fold: str, seed: int, thresholds: np.ndarray
) -> None:
  """Writes a fold's thresholds (12,) into its folder, to the last digit."""
  row = [fold, seed, *thresholds.tolist()]
  write_atomically(folder / THRESHOLDS, to_csv([COLUMNS, row]))


def read_thresholds(path: Path) -> list[list[str]]:
  """Reads the rows of a file of thresholds, without the heading.

  Raises:
    UserError: it cannot be read, or is no such file.
  """
  try:
    heading, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    sound = heading == list(COLUMNS) and rows
    sound = sound and all(np.isfinite(np.array(r[2:], float)).all() for r in rows)
  except (OSError, ValueError) as error:
    raise UserError(f"{path}: cannot be read ({error}); train its fold again") from None
  if not sound or any(len(row) != len(COLUMNS) for row in rows):
    raise UserError(
      f"{path}: expected the columns {', '.join(COLUMNS[:3])}, ... {COLUMNS[-1]} and "
      "numbers under them; train its fold again"
    )
  return rows


def thresholds_of(folder: Path) -> np.ndarray | None:
  """The thresholds (12,) of a fold, from its folder; None where it decides at 0.

  Raises:
    UserError: its file of thresholds is damaged.
  """
  path = folder / THRESHOLDS
  if not path.exists():
    return None
  (row,) = read_thresholds(path)
  return np.array(row[2:], np.float64)


def all_rows(paths: Sequence[Path]) -> list[list[str]]:
  """The heading and the rows of several files of thresholds."""
  return [list(COLUMNS), *(row for path in paths for row in read_thresholds(path))]
