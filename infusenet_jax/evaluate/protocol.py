"""The CD6ME protocol: 12 AUs, 6 databases, the folds and the two F1s.

Source: Varanka, Li, Peng and Zhao, "Data Leakage and Evaluation Issues in
Micro-Expression Analysis", IEEE TAFFC 2023 (arXiv 2211.11425). Plain NumPy.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from infusenet_jax.clips.labels import in_order
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.run_files import AND

AVERAGES = ("binary", "macro")


@dataclass(frozen=True)
class Fold:
  """A name and the (N,) bool masks of the clips to train on and to test on."""

  name: str
  train: np.ndarray
  test: np.ndarray


def folds(
  protocol: str,
  database: np.ndarray,
  subject: np.ndarray,
  names: Sequence[str] | None = None,
) -> list[Fold]:
  """The folds of a protocol, in its order.

  Args:
    protocol: "cd6me" leaves one database out and trains on all others; the fold is
      named after its database. "loso" leaves one subject out and trains on the other
      subjects of the same database; the fold is named "casme2/sub01". "all" leaves
      nothing out and tests nothing: one fold of that name, for networks to be used.
    database: (N,) keys of databases, one per clip; the folds of the six come first.
    subject: (N,) subjects, one per clip; the same name in two databases is two people.
    names: the folds wanted, or None for all. In "loso" a database's key stands for
      all of its subjects; in "all" there is nothing to choose.

  Raises:
    UserError: an unknown protocol or fold, or a fold with nothing to train on.
  """
  database, subject = np.asarray(database), np.asarray(subject)
  present = in_order(database.tolist())
  if protocol == "cd6me":
    every = [Fold(key, database != key, database == key) for key in present]
  elif protocol == "loso":
    every = [
      Fold(
        f"{key}/{who}",
        (database == key) & (subject != who),
        (database == key) & (subject == who),
      )
      for key in present
      for who in sorted(set(subject[database == key].tolist()))
    ]
  elif protocol == "all":
    every = [Fold("all", np.full(len(database), True), np.full(len(database), False))]
  else:
    raise UserError(
      f"config.protocol is {protocol!r}; expected 'cd6me' (leave one database out), "
      "'loso' (leave one subject out) or 'all' (leave nothing out, test nothing)"
    )
  known = present + [fold.name for fold in every if fold.name not in present]
  for name in names or ():
    if name not in known:
      shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
      raise UserError(
        f"config.folds names {name!r}, which is no fold of the data; known: {shown}"
      )
  chosen = [
    fold
    for fold in every
    if names is None or fold.name in names or fold.name.split("/")[0] in names
  ]
  for fold in chosen:
    if not fold.train.any():
      raise UserError(
        f"fold {fold.name} has no clips to train on: the data hold only "
        f"{', '.join(present)}; "
        + (
          "prepare at least two databases"
          if protocol == "cd6me"
          else "leave-one-subject-out needs at least two subjects"
        )
      )
  return chosen


def pairs(database: np.ndarray, names: Sequence[str]) -> list[Fold]:
  """The folds that leave out two databases, one of them at least in `names`.

  Each is named after both, "casme+samm", and tests both. Two of the folds of `names`
  share one of them, so that six databases have 15.

  Args:
    database: (N,) keys of databases, one per clip.
    names: databases whose folds need thresholds.

  Raises:
    UserError: there are fewer than three databases.
  """
  database = np.asarray(database)
  present = in_order(database.tolist())
  if len(present) < 3:
    raise UserError(
      "config.decide_at is 'fitted', which leaves two databases out, but the data hold "
      f"only {', '.join(present)}; prepare at least three, or take '0'"
    )
  found = []
  for first, second in itertools.combinations(present, 2):
    if first in names or second in names:
      test = (database == first) | (database == second)
      found.append(Fold(f"{first}{AND}{second}", ~test, test))
  return found


def confusion(
  labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
  """Counts (..., A, 4) of true positive, false positive, false negative, true negative.

  Args:
    labels: (N, A), 0 or 1.
    logits: (N, A); positive where > 0, strictly.
    weights: how often each clip counts, (..., N); once where None.
  """
  labels, positive = np.asarray(labels) > 0, np.asarray(logits) > 0
  cells = np.stack(
    [labels & positive, ~labels & positive, labels & ~positive, ~labels & ~positive],
    axis=-1,
  ).astype(np.float64)
  if weights is None:
    return cells.sum(axis=0)
  return np.tensordot(np.asarray(weights, np.float64), cells, axes=1)


def f1_of_counts(counts: np.ndarray, average: str) -> np.ndarray:
  """F1 in [0, 1] of counts (..., 4) as `confusion` gives them, shape (...)."""
  tp, fp, fn, tn = np.moveaxis(counts, -1, 0)
  wrong = fp + fn
  positive = 2 * tp / np.maximum(2 * tp + wrong, 1)
  if average == "binary":
    return positive
  if average == "macro":
    negative = 2 * tn / np.maximum(2 * tn + wrong, 1)
    # A class that neither the labels nor the predictions hold does not count.
    present = ((tp + wrong) > 0).astype(int) + ((tn + wrong) > 0)
    return (positive + negative) / np.maximum(present, 1)
  raise ValueError(f"average is {average!r}; expected 'binary' or 'macro'")


def f1(labels: np.ndarray, logits: np.ndarray, average: str = "binary") -> np.ndarray:
  """F1 of each AU in [0, 1], (A,) float64; positive where logit > 0, strictly.

  "binary" is the F1 of the positive class, 2 TP / (2 TP + FP + FN), and 0 where no
  label and no prediction is positive. "macro" is the mean of both classes' F1 over
  the classes present in labels or predictions, as in scikit-learn.

  Args:
    labels: (N, A), 0 or 1.
    logits: (N, A).
    average: "binary" or "macro".

  Raises:
    ValueError: shapes that differ, no clips, or another `average`.
  """
  labels, logits = np.asarray(labels), np.asarray(logits)
  if labels.shape != logits.shape or labels.ndim != 2 or not len(labels):
    raise ValueError(
      f"labels {labels.shape}, logits {logits.shape}: expected the same (N, A), N > 0"
    )
  return f1_of_counts(confusion(labels, logits), average)
