"""From logits to probabilities that mean what they say, fitted on held-out predictions.

    python -m infusenet_jax.evaluate.calibration RUN

RUN is a run's folder, or a predictions.csv. Of each AU the probability is
sigmoid(logit / temperature + bias) (Platt 1999; temperature as in Guo et al., ICML
2017), fitted on clips that the network at hand never saw. Prints, as Markdown, the
temperatures and biases of all clips, and how well calibrated probabilities are before
and after, each database by a fit on the other ones. Plain NumPy.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infusenet_jax.clips.labels import AUS, in_order
from infusenet_jax.evaluate.documents import SIMULATED, subtitle
from infusenet_jax.evaluate.predictions import DATA, Predictions, read_predictions
from infusenet_jax.evaluate.scores import held_out
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.run_files import PREDICTIONS
from infusenet_jax.runtime.text import markdown_table

BINS = 10  # Of equal width, over probabilities from 0 to 1.
# Standard deviations of the Gaussian priors on (log temperature, bias): of all AUs
# together around (0, 0), where data decide; of each AU around that common fit, so that
# one with a handful of positives stays near what holds for all. On the predictions of
# docs/calibration.md half or twice the latter spreads change log loss by under 2 %.
_COMMON_SPREAD = np.array([2.0, 3.0])
_OWN_SPREAD = np.array([0.2, 0.4])


@dataclass(frozen=True)
class Calibration:
  """temperature (12,) > 0 and bias (12,), float64, in the order of `AUS`."""

  temperature: np.ndarray
  bias: np.ndarray

  def __call__(self, logits: np.ndarray) -> np.ndarray:
    """Logits (..., 12) -> probabilities (..., 12) in [0, 1], float64."""
    return sigmoid(np.asarray(logits, np.float64) / self.temperature + self.bias)

  def to_dict(self) -> dict[str, list[float]]:
    """For JSON; `from_dict` takes it back."""
    return {"temperature": self.temperature.tolist(), "bias": self.bias.tolist()}

  @classmethod
  def from_dict(cls, fields: Mapping[str, Sequence[float]]) -> "Calibration":
    """Raises KeyError, TypeError or ValueError where that is no `to_dict`."""
    found = [np.array(fields[name], np.float64) for name in ("temperature", "bias")]
    if any(x.shape != (len(AUS),) or not np.isfinite(x).all() for x in found):
      raise ValueError(f"expected {len(AUS)} temperatures and biases")
    return cls(*found)


# What a network says that was not calibrated: the sigmoid that it was trained with.
UNCALIBRATED = Calibration(np.ones(len(AUS)), np.zeros(len(AUS)))


def sigmoid(x: np.ndarray) -> np.ndarray:
  """1 / (1 + exp(-x)), without overflow."""
  return 0.5 * (1 + np.tanh(0.5 * x))


def fit(logits: np.ndarray, labels: np.ndarray) -> Calibration:
  """Fits temperatures and biases, the most probable ones given priors.

  Args:
    logits: (N, 12) of clips that the network was not trained on.
    labels: (N, 12), 0 or 1.

  Raises:
    ValueError: the shapes differ, or there are no clips.
  """
  logits, labels = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
  if logits.shape != labels.shape or logits.ndim != 2 or not len(logits):
    raise ValueError(
      f"logits are {logits.shape} and labels {labels.shape}; expected the same (N, "
      f"{len(AUS)}) of at least one clip"
    )
  common = _fit(logits.ravel(), labels.ravel(), np.zeros(2), _COMMON_SPREAD)
  each = np.array(
    [_fit(x, y, common, _OWN_SPREAD) for x, y in zip(logits.T, labels.T, strict=True)]
  )
  return Calibration(np.exp(each[:, 0]), each[:, 1])


def _fit(
  logits: np.ndarray, labels: np.ndarray, centre: np.ndarray, spread: np.ndarray
) -> np.ndarray:
  """(log temperature, bias) by Newton's method, Fisher's information as curvature.

  The information is never indefinite, so that every step goes downhill; it is halved
  until it does so by enough.
  """
  precision = 1 / spread**2

  def loss(at: np.ndarray) -> float:
    z = logits * np.exp(-at[0]) + at[1]
    prior = 0.5 * (precision * (at - centre) ** 2).sum()
    return float(np.logaddexp(0, z).sum() - (labels * z).sum() + prior)

  at = centre.copy()
  for _ in range(100):
    scaled = logits * np.exp(-at[0])
    p = sigmoid(scaled + at[1])
    slopes = np.stack([-scaled, np.ones_like(scaled)])  # Of z.
    gradient = slopes @ (p - labels) + precision * (at - centre)
    information = (slopes * p * (1 - p)) @ slopes.T + np.diag(precision)
    step = -np.linalg.solve(information, gradient)
    before, size = loss(at), 1.0
    while loss(at + size * step) > before + 1e-4 * size * (gradient @ step):
      size /= 2
      if size < 1e-8:
        return at
    at = at + size * step
    if np.abs(size * step).max() < 1e-8:
      break
  return at


def reliability(
  probability: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """How many fall into each bin, their mean probability and how often they are true.

  Args:
    probability: in [0, 1], of any shape.
    labels: 0 or 1, of the same shape.
    bins: of equal width.

  Returns:
    (bins,) int and twice (bins,) float64, NaN where a bin is empty.
  """
  probability = np.asarray(probability, np.float64).ravel()
  place = np.minimum((probability * bins).astype(int), bins - 1)
  count = np.bincount(place, minlength=bins)
  with np.errstate(invalid="ignore"):
    mean = np.bincount(place, probability, bins) / count
    often = np.bincount(place, np.asarray(labels, np.float64).ravel(), bins) / count
  return count, mean, often


def calibration_error(
  probability: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> float:
  """The expected calibration error, in [0, 1].

  The distance between mean probability and frequency, averaged over the bins of
  `reliability` by how many fall into them (Naeini et al., AAAI 2015).
  """
  count, mean, often = reliability(probability, labels, bins)
  held = count > 0
  return float((count * np.abs(mean - often))[held].sum() / count.sum())


def log_loss(probability: np.ndarray, labels: np.ndarray) -> float:
  """Mean of -log(probability of what is true), in nats."""
  truth = np.where(np.asarray(labels) > 0, probability, 1 - np.asarray(probability))
  return float(-np.log(np.maximum(truth, 1e-12)).mean())


def fit_predictions(predictions: Predictions) -> Calibration:
  """`fit` on a run's held-out predictions.

  Raises:
    UserError: as `scores.aligned_runs`.
  """
  one = held_out(predictions)
  return fit(one.logits, one.labels)


def leave_one_out(predictions: Predictions) -> np.ndarray:
  """Probabilities (N, 12), each database's by a fit on the clips of the other ones.

  Args:
    predictions: one of each clip, as `held_out` makes them.

  Raises:
    UserError: there is but one database.
  """
  keys = in_order(predictions.database.tolist())
  if len(keys) < 2:
    raise UserError(
      f"the predictions hold {', '.join(keys)} alone; leaving one database out of the "
      "fit needs at least two"
    )
  probability = np.empty_like(predictions.logits, np.float64)
  for key in keys:
    mine = predictions.database == key
    others = fit(predictions.logits[~mine], predictions.labels[~mine])
    probability[mine] = others(predictions.logits[mine])
  return probability


def summary(predictions: Predictions) -> dict[str, dict[str, float]]:
  """{"before" or "after": {"error", "log_loss"}} of leaving one database out."""
  one = held_out(predictions)
  both = {"before": UNCALIBRATED(one.logits), "after": leave_one_out(one)}
  return {
    name: {
      "error": calibration_error(probability, one.labels),
      "log_loss": log_loss(probability, one.labels),
    }
    for name, probability in both.items()
  }


def format_calibration(predictions: Predictions, title: str) -> str:
  """Lays fit and reliability out as Markdown; every heading says *simulated*.

  Raises:
    UserError: as `held_out` and `leave_one_out`.
  """
  one = held_out(predictions)
  data = SIMULATED if predictions.simulated else ""
  calibration = fit(one.logits, one.labels)
  before, after = UNCALIBRATED(one.logits), leave_one_out(one)
  seeds = np.unique(predictions.seed)
  keys = in_order(one.database.tolist())

  def errors(mine: slice | np.ndarray) -> list[str]:
    return [
      f"{scale * measure(p[mine], one.labels[mine]):.{digits}f}"
      for measure, scale, digits in ((calibration_error, 100, 1), (log_loss, 1, 3))
      for p in (before, after)
    ]

  columns = ["error before", "after", "log loss before", "after"]
  everything = (slice(None), slice(None))
  by_au = [["AU", "positive", "temperature", "bias", *columns]]
  for i, au in enumerate(AUS):
    positive = int(one.labels[:, i].sum())
    values = (f"{calibration.temperature[i]:.2f}", f"{calibration.bias[i]:+.2f}")
    by_au.append([f"AU{au}", positive, *values, *errors((slice(None), i))])
  by_au.append(["all", int(one.labels.sum()), "", "", *errors(everything)])
  by_database = [["database left out", "clips", *columns]]
  for key in keys:
    mine = one.database == key
    by_database.append([key, int(mine.sum()), *errors(mine)])
  curve = [["probability", "before: how many", "mean", "true", *_AFTER]]
  rows = [reliability(p, one.labels) for p in (before, after)]
  for i in range(BINS):
    name = f"{i / BINS:.1f} to {(i + 1) / BINS:.1f}"
    cells = [(n[i], _percent(m[i]), _percent(t[i])) for n, m, t in rows]
    curve.append([name, *cells[0], *cells[1]])
  return "\n".join(
    [
      f"## {subtitle(f'Calibration of {title}', data)}",
      "",
      f"{len(one)} clips of {len(keys)} databases, {_seeds(seeds)}. *After*: the clips "
      "of",
      "each database by a fit on those of the others. Error: expected calibration",
      f"error, percent, {BINS} bins of equal width; log loss in nats.",
      "",
      markdown_table(by_au),
      "",
      markdown_table(by_database),
      "",
      f"### {subtitle('Reliability, all AUs together, percent', data)}",
      "",
      markdown_table(curve),
      "",
    ]
  )


_AFTER = ("after: how many", "mean", "true")


def _percent(value: float) -> str:
  return "-" if np.isnan(value) else f"{100 * value:.1f}"


def _seeds(seeds: np.ndarray) -> str:
  names = ", ".join(map(str, seeds))
  return f"seed {names}" if len(seeds) == 1 else f"mean logits of seeds {names}"


def main(arguments: Sequence[str] | None = None) -> None:
  """The command; `python -m infusenet_jax.evaluate.calibration --help` explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.evaluate.calibration",
    description="Says how well a run's probabilities are calibrated, before and after.",
  )
  parser.add_argument(
    "run", type=Path, metavar="RUN", help="a run's folder, or a predictions.csv"
  )
  parser.add_argument(
    "--out", type=Path, metavar="FILE", help="write the Markdown here"
  )
  parser.add_argument(
    "--data", choices=DATA, help="what the clips of a file without a column data are"
  )
  options = parser.parse_args(arguments)
  run = options.run
  path = run / PREDICTIONS if run.is_dir() else run
  name = run.absolute().name if run.is_dir() else run.stem
  text = format_calibration(read_predictions([path], options.data), name)
  print(text, end="")
  if options.out:
    write_atomically(options.out, text)


if __name__ == "__main__":
  exit_with_one_line(main)
