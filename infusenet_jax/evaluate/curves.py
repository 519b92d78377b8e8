"""ROC and precision-recall curves of one AU, and the areas under them. Plain NumPy.

They equal scikit-learn's. Clips with equal scores are one step, so that their order
does not matter.
"""

import numpy as np


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
  """Computes the points (false positive rate, true positive rate), each in [0, 1].

  Args:
    labels: (N,), 0 or 1.
    scores: (N,), finite; higher where the AU is more likely shown.

  Returns:
    (K + 1, 2), from (0, 0) to (1, 1), for K different scores; (0, 2) where the labels
    are all of one kind, so that one of the rates is not defined.
  """
  false, true = _steps(labels, scores)
  if not (false[-1] and true[-1]):
    return np.empty((0, 2))
  return np.stack([false / false[-1], true / true[-1]], axis=1)


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
  """Computes the area under `roc_curve`, in [0, 1]; NaN where that is not defined.

  It is how often a clip that shows the AU has a higher score than one that does not,
  ties counted half.
  """
  points = roc_curve(labels, scores)
  if not len(points):
    return np.nan
  x, y = points.T
  return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def precision_recall_curve(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
  """Computes the points (recall, precision), each in [0, 1], by ascending recall.

  Args:
    labels, scores: as of `roc_curve`.

  Returns:
    (K, 2), a point for each of the K different scores as the lowest one that counts as
    shown; (0, 2) where no clip shows the AU, so that recall is not defined.
  """
  false, true = _steps(labels, scores)
  if not true[-1]:
    return np.empty((0, 2))
  false, true = false[1:], true[1:]
  return np.stack([true / true[-1], true / (true + false)], axis=1)


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
  """Computes the mean precision over the steps of recall; NaN if no clip shows the AU.

  That is the area under the curve drawn as steps.
  """
  points = precision_recall_curve(labels, scores)
  if not len(points):
    return np.nan
  recall, precision = points.T
  return float((np.diff(recall, prepend=0) * precision).sum())


def _steps(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Counts false and true positives as the threshold falls past each score, from 0."""
  order = np.argsort(-np.asarray(scores), kind="stable")
  scores, labels = np.asarray(scores)[order], np.asarray(labels)[order] > 0
  last = np.flatnonzero(np.diff(scores, append=np.nan) != 0)  # Of each tie.
  true = np.cumsum(labels)[last]
  return np.r_[0, 1 + last - true], np.r_[0, true]
