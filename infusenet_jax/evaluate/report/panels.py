"""Curves of each AU, and how far probabilities can be believed, as SVG paths.

A figure is a square of 100 by 100, with 0 % below and on the left. The templates draw
its frame.
"""

import itertools
from typing import NamedTuple

import numpy as np

from infusenet_jax.clips.labels import AU_NAMES, AUS, database_name, in_order
from infusenet_jax.evaluate.calibration import (
  UNCALIBRATED,
  calibration_error,
  leave_one_out,
  log_loss,
  reliability,
)
from infusenet_jax.evaluate.curves import (
  average_precision,
  precision_recall_curve,
  roc_auc,
  roc_curve,
)
from infusenet_jax.evaluate.detection import Detection
from infusenet_jax.evaluate.predictions import Predictions


class View(NamedTuple):
  """An AU's curves on the clips of one database, or of all; paths are "" if undefined.

  key: of the database, or "all".
  roc, precision_recall: d attributes of SVG paths.
  auc, average_precision: in percent; NaN where not defined.
  positive: how many of the clips show the AU, in percent.
  point: (false positive rate, recall, precision) of the decision, in percent; NaN where
    not defined.
  """

  key: str
  name: str
  roc: str
  precision_recall: str
  auc: float
  average_precision: float
  positive: float
  point: tuple[float, float, float]


class Panel(NamedTuple):
  """An AU's curves on all clips and on those of each database."""

  au: int
  name: str
  views: list[View]


class Dot(NamedTuple):
  """The probabilities in a bin: mean and how often true, in percent, and how many."""

  mean: float
  true: float
  count: int
  radius: float


class Trust(NamedTuple):
  """How far probabilities can be believed, before calibration and after.

  dots: of all AUs and clips together, by bin.
  rows: by AU, then by database: (name, error in percent, log loss in nats).
  """

  name: str
  dots: list[Dot]
  by_au: list[tuple[str, float, float]]
  by_database: list[tuple[str, float, float]]


def panels(one: Predictions, detection: Detection) -> list[Panel]:
  """Draws the curves of every AU.

  Args:
    one: a single prediction of each clip.
    detection: of `one`.
  """
  scopes = [("all", "all databases", slice(None))]
  scopes += [(k, database_name(k), one.database == k) for k in detection.databases]
  return [
    Panel(
      au,
      AU_NAMES[au],
      [
        _view(
          (key, name),
          one.labels[rows, column],
          one.logits[rows, column],
          detection.counts[place - 1, column],  # Row -1 is all databases together.
        )
        for place, (key, name, rows) in enumerate(scopes)
      ],
    )
    for column, au in enumerate(AUS)
  ]


def trust(one: Predictions) -> list[Trust]:
  """Compares probabilities with how often they were true.

  They are the sigmoid of the logits and, where there are several databases, what a
  calibration makes of them that was fitted on the clips of the other databases.

  Args:
    one: a single prediction of each clip.
  """
  kinds = {"as they are": UNCALIBRATED(one.logits)}
  keys = in_order(one.database.tolist())
  if len(keys) > 1:
    kinds["calibrated on the other databases"] = leave_one_out(one)
  return [_trust(name, p, one, keys) for name, p in kinds.items()]


def _view(
  names: tuple[str, str], labels: np.ndarray, logits: np.ndarray, counts: np.ndarray
) -> View:
  true, false, missed, rest = (float(count) for count in counts)
  point = [
    100 * part / whole if whole else np.nan
    for part, whole in (
      (false, false + rest),
      (true, true + missed),
      (true, true + false),
    )
  ]
  return View(
    *names,
    path(roc_curve(labels, logits)),
    path(_steps(precision_recall_curve(labels, logits))),
    100 * roc_auc(labels, logits),
    100 * average_precision(labels, logits),
    100 * float(np.mean(labels)),
    tuple(point),
  )


def _trust(name: str, p: np.ndarray, one: Predictions, keys: list[str]) -> Trust:
  def row(name: str, where: tuple) -> tuple[str, float, float]:
    found, labels = p[where], one.labels[where]
    return name, 100 * calibration_error(found, labels), log_loss(found, labels)

  everything = row("all", (slice(None), slice(None)))
  bins = list(zip(*reliability(p, one.labels), strict=True))
  most = max(count for count, *_ in bins)
  return Trust(
    name,
    [
      Dot(100 * mean, 100 * true, int(count), 1.5 + 3.5 * float(count / most) ** 0.5)
      for count, mean, true in bins
      if count
    ],
    [
      *(row(f"AU{au}", (slice(None), i)) for i, au in enumerate(AUS)),
      everything,
    ],
    [*(row(database_name(key), (one.database == key,)) for key in keys), everything],
  )


def _steps(points: np.ndarray) -> np.ndarray:
  """Turns points by ascending x into steps: each y holds from the x before it."""
  if not len(points):
    return points
  x, y = points.T
  before = np.r_[0, x[:-1]]
  return np.stack([np.stack([before, x], 1).ravel(), np.repeat(y, 2)], 1)


def path(points: np.ndarray) -> str:
  """Writes points (K, 2), in [0, 1], as a path in the square; "" where there are none.

  It keeps a tenth of a percent, and of a straight stretch the ends alone.
  """
  if not len(points):
    return ""
  places = np.rint(np.stack([points[:, 0], 1 - points[:, 1]], 1) * 1000).astype(int)
  kept = [places[0].tolist()]
  for place in places[1:].tolist():
    if place == kept[-1]:
      continue
    if len(kept) > 1 and _goes_on(*kept[-2:], place):
      kept.pop()
    kept.append(place)
  text = [f"M{_tenth(kept[0][0])} {_tenth(kept[0][1])}"]
  for (x0, y0), (x, y) in itertools.pairwise(kept):
    if y == y0:
      text.append(f"H{_tenth(x)}")
    elif x == x0:
      text.append(f"V{_tenth(y)}")
    else:
      text.append(f"L{_tenth(x)} {_tenth(y)}")
  return "".join(text)


def _goes_on(first: list[int], second: list[int], third: list[int]) -> bool:
  """Whether the way to the third point goes on straight from the first and second."""
  a = (second[0] - first[0], second[1] - first[1])
  b = (third[0] - second[0], third[1] - second[1])
  return a[0] * b[1] == a[1] * b[0] and a[0] * b[0] + a[1] * b[1] > 0


def _tenth(value: int) -> str:
  """A whole number of tenths, as short as can be."""
  whole, rest = divmod(value, 10)
  return f"{whole}.{rest}" if rest else f"{whole}"
