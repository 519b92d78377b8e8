"""How often each AU was found, missed or a false alarm, by database. Plain NumPy."""

from dataclasses import dataclass

import numpy as np

from infusenet_jax.clips.labels import AUS, in_order
from infusenet_jax.evaluate.curves import roc_auc
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.protocol import confusion

COUNTS = ("tp", "fp", "fn", "tn")
RATES = ("precision", "recall", "auc")


@dataclass(frozen=True)
class Detection:
  """Counts and rates, one decision per clip and AU.

  The arrays have a row for each of the D databases and a last one for all clips
  together, a column for each of the 12 AUs and a last one for all AUs. A rate that is
  not defined is NaN, never 0 or 1.

  databases: the keys of the rows.
  counts: (D + 1, 13, 4) int: true positives, false positives, false negatives, true
    negatives.
  precision: (D + 1, 13) in [0, 1], TP / (TP + FP); not defined where no clip was said
    to show the AU.
  recall: (D + 1, 13) in [0, 1], TP / (TP + FN); not defined where no clip shows it.
  auc: (D + 1, 13) in [0, 1], the area under the ROC curve; not defined where all clips
    show the AU or none does. Of all AUs it is the mean over those where it is defined.
  """

  databases: tuple[str, ...]
  counts: np.ndarray
  precision: np.ndarray
  recall: np.ndarray
  auc: np.ndarray

  def to_dict(self) -> dict[str, dict[str, dict[str, int | float | None]]]:
    """Nests everything by database, AU and name; rates in percent, or None.

    The databases are called by their keys; "all" are all databases or AUs together.
    """
    columns = [*(f"AU{au}" for au in AUS), "all"]
    return {
      key: {
        name: dict(zip(COUNTS, map(int, self.counts[row, column]), strict=True))
        | {rate: _percent(getattr(self, rate)[row, column]) for rate in RATES}
        for column, name in enumerate(columns)
      }
      for row, key in enumerate([*self.databases, "all"])
    }


def detect(predictions: Predictions) -> Detection:
  """Counts the decisions and computes the rates.

  Args:
    predictions: a single one of each clip, such as `scores.held_out` makes.
  """
  keys = in_order(predictions.database.tolist())
  parts = [predictions[predictions.database == key] for key in keys] + [predictions]
  counts = np.stack([confusion(part.labels, part.logits) for part in parts]).astype(int)
  counts = np.concatenate([counts, counts.sum(1, keepdims=True)], axis=1)
  true, false, missed, _ = np.moveaxis(counts, -1, 0)
  auc = np.array(
    [[roc_auc(*column) for column in _columns(part)] for part in parts], np.float64
  )
  return Detection(
    databases=tuple(keys),
    counts=counts,
    precision=_ratio(true, true + false),
    recall=_ratio(true, true + missed),
    auc=np.concatenate([auc, _mean_of_defined(auc)[:, None]], axis=1),
  )


def _columns(predictions: Predictions) -> zip:
  return zip(predictions.labels.T, predictions.logits.T, strict=True)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
  return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
  defined = np.isfinite(values)
  return _ratio(np.where(defined, values, 0).sum(-1), defined.sum(-1))


def _percent(value: float) -> float | None:
  return None if np.isnan(value) else round(100 * float(value), 4)
