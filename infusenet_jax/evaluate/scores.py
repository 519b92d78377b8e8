"""Computes the result tables of CD6ME from predictions. Plain NumPy."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from infusenet_jax.clips.labels import DATABASES, NAME_RULE, in_order, is_database
from infusenet_jax.evaluate.detection import Detection, detect
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.protocol import AVERAGES, confusion, f1_of_counts
from infusenet_jax.runtime.errors import UserError


@dataclass(frozen=True)
class Scores:
  """F1 in [0, 1] of the R rows of a table, (R,) each.

  mean, std: mean and standard deviation over runs.
  low, high: ends of the 95 % interval over clips.
  """

  mean: np.ndarray
  std: np.ndarray
  low: np.ndarray
  high: np.ndarray


@dataclass(frozen=True)
class Tables:
  """The result tables; all F1 are in [0, 1], by kind: "binary" or "macro".

  databases: keys of the D databases that were predicted.
  clips: how many clips each of them has.
  seeds: of the runs, ascending.
  cross_database: whether each clip was predicted in the fold that leaves out its
    database, as CD6ME wants.
  au: {kind: Scores (13,)}: each AU over the clips of all folds together, then the
    average of the 12.
  database: {kind: Scores (D + 1,)}: for each database the mean over the AUs, then the
    average of the D.
  subjects: by table and kind, the ends (low, high) of the rows' 95 % intervals over
    subjects, (R,) each.
  fold: {kind: (D, 13)}: of each database its AUs, then their average; means over runs.
  always: {"au" or "database": {kind: (13,) or (D + 1,)}}: the scores of a model that
    always says "positive".
  detection: counts and rates of each AU in each database, of `held_out`.
  """

  databases: tuple[str, ...]
  clips: tuple[int, ...]
  seeds: tuple[int, ...]
  cross_database: bool
  au: dict[str, Scores]
  database: dict[str, Scores]
  subjects: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]
  fold: dict[str, np.ndarray]
  always: dict[str, dict[str, np.ndarray]]
  detection: Detection


def _with_average(values: np.ndarray) -> np.ndarray:
  return np.concatenate([values, values.mean(-1, keepdims=True)], axis=-1)


# Functions from counts (..., D, 12, 4) and the F1 kind to the values of each table.
TABLES: dict[str, Callable[[np.ndarray, str], np.ndarray]] = {
  "au": lambda counts, kind: _with_average(f1_of_counts(counts.sum(-3), kind)),
  "database": lambda counts, kind: _with_average(f1_of_counts(counts, kind).mean(-1)),
}


def cd6me_tables(
  predictions: Predictions, *, resamples: int = 1000, seed: int = 0
) -> Tables:
  """Computes the AU table, the database table and the per-fold table.

  Every table is computed per run (seed) and then averaged over the runs. For the 95 %
  intervals over clips each database's clips are drawn again with replacement, the same
  draw for all runs; for those over subjects its subjects are, each with all clips.
  Clips of one person are alike, so the intervals over clips are too narrow for a claim
  about other people. A rare AU is absent from many draws, which lowers its F1 in them;
  the percentiles are therefore shifted by the estimate minus the mean over the draws.

  A database's row is computed over all of its clips, whichever folds they were
  predicted in, so leave-one-subject-out predictions are scored by the same code.

  Args:
    predictions: of one model, in any number of runs on the same clips.
    resamples: how often the clips, and the subjects, are drawn again.
    seed: of those draws.

  Raises:
    UserError: no clips, a clip predicted twice in a run, runs that differ in their
      clips, or labels that differ between runs.
  """
  runs = aligned_runs(predictions)
  databases = _databases(runs[0])
  counts, drawn = _counts(runs, databases, resamples, seed)
  _, by_subject = _counts(runs, databases, resamples, seed, "subjects")
  positive = np.ones_like(runs[0].logits)
  always = np.stack(
    [
      confusion(runs[0].labels[mask], positive[mask])
      for mask in (runs[0].database == key for key in databases)
    ]
  )

  def scores(table: str, kind: str) -> Scores:
    values = TABLES[table](counts, kind)
    std = values.std(0, ddof=1) if len(runs) > 1 else np.zeros_like(values[0])
    mean = values.mean(0)
    return Scores(mean, std, *_interval(mean, TABLES[table](drawn, kind).mean(0)))

  return Tables(
    databases=databases,
    clips=tuple(int((runs[0].database == key).sum()) for key in databases),
    seeds=tuple(int(run.seed[0]) for run in runs),
    cross_database=bool((predictions.fold == predictions.database).all()),
    fold={kind: _with_average(f1_of_counts(counts, kind)).mean(0) for kind in AVERAGES},
    **{name: {kind: scores(name, kind) for kind in AVERAGES} for name in TABLES},
    subjects={
      name: {
        kind: _interval(table(counts, kind).mean(0), table(by_subject, kind).mean(0))
        for kind in AVERAGES
      }
      for name, table in TABLES.items()
    },
    always={
      name: {kind: table(always, kind) for kind in AVERAGES}
      for name, table in TABLES.items()
    },
    detection=detect(_mean(runs)),
  )


def compare(
  first: Predictions,
  second: Predictions,
  *,
  by: str = "clips",
  resamples: int = 1000,
  seed: int = 0,
) -> dict[str, dict[str, tuple[float, float, float]]]:
  """Computes how much more `first` scores than `second`, paired by clip.

  For the interval both models are scored on the same draws, so that clips which are
  hard for both do not widen it.

  Args:
    first, second: of one model each, any number of runs.
    by: what is drawn again for the interval, "clips" or "subjects".
    resamples, seed: as of `cd6me_tables`.

  Returns:
    {"au" or "database": {"binary" or "macro": (difference, low, high)}} of the
    table's Average, in [-1, 1], with the 95 % interval.

  Raises:
    UserError: as in `cd6me_tables`, or the two have predictions of different clips.
  """
  models = [aligned_runs(first), aligned_runs(second)]
  _check_same(models[0][0], models[1][0], ("the first model", "the second model"))
  databases = _databases(models[0][0])
  counts, drawn = zip(
    *(_counts(runs, databases, resamples, seed, by) for runs in models), strict=True
  )

  def difference(table: str, kind: str) -> tuple[float, float, float]:
    estimate, draws = (
      np.subtract(*(TABLES[table](of, kind).mean(0) for of in pair))[..., -1:]
      for pair in (counts, drawn)
    )
    low, high = _interval(estimate, draws, smallest=-1.0)
    return float(estimate[0]), float(low[0]), float(high[0])

  return {
    table: {kind: difference(table, kind) for kind in AVERAGES} for table in TABLES
  }


def _interval(
  estimate: np.ndarray, draws: np.ndarray, smallest: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
  """Computes the 95 % interval from draws (resamples, ...), shifted by their bias."""
  low, high = np.percentile(draws, [2.5, 97.5], axis=0) + estimate - draws.mean(0)
  return np.clip(low, smallest, estimate), np.clip(high, estimate, 1.0)


def _databases(run: Predictions) -> tuple[str, ...]:
  return tuple(in_order(run.database.tolist()))


def _counts(
  runs: list[Predictions],
  databases: tuple[str, ...],
  resamples: int,
  seed: int,
  by: str = "clips",
) -> tuple[np.ndarray, np.ndarray]:
  """Counts (runs, D, 12, 4) of the clips and (runs, resamples, D, 12, 4) of draws.

  Clips are drawn one by one or, by "subjects", all of a subject's together.
  """
  rng = np.random.default_rng(seed)
  counts, drawn = [], []
  for key in databases:
    parts = [run[run.database == key] for run in runs]
    group = np.arange(len(parts[0]))
    if by == "subjects":
      group = np.unique(parts[0].subject, return_inverse=True)[1]
    size = group.max() + 1
    weights = rng.multinomial(size, np.full(size, 1 / size), size=resamples)[:, group]
    counts.append([confusion(part.labels, part.logits) for part in parts])
    drawn.append([confusion(part.labels, part.logits, weights) for part in parts])
  return np.stack(counts, axis=1), np.moveaxis(np.array(drawn), 0, 2)


def aligned_runs(predictions: Predictions) -> list[Predictions]:
  """Splits predictions into runs, one per seed, sorted by clip and of the same clips.

  Raises:
    UserError: as in `cd6me_tables`.
  """
  if not len(predictions):
    raise UserError("no predictions: at least one clip is needed")
  keys = sorted(set(predictions.database.tolist()))
  unknown = [key for key in keys if not is_database(key)]
  if unknown:
    raise UserError(
      f"unknown database {unknown[0]!r} in the predictions; known: "
      f"{', '.join(DATABASES)}, or {NAME_RULE}"
    )
  runs = []
  for seed in np.unique(predictions.seed):
    run = predictions[predictions.seed == seed]
    run = run[np.lexsort((run.clip, run.subject, run.database))]
    for name, following in itertools.pairwise(_names(run)):
      if name == following:
        raise UserError(
          f"clip {name} is predicted twice in the run of seed {seed}; expected once "
          "(give the files of one model only)"
        )
    if runs:
      both = (f"the run of seed {runs[0].seed[0]}", f"the run of seed {seed}")
      _check_same(runs[0], run, both)
    runs.append(run)
  return runs


def held_out(predictions: Predictions) -> Predictions:
  """One prediction of each clip: the mean logits of all runs, as they are used.

  Raises:
    UserError: as `aligned_runs`.
  """
  return _mean(aligned_runs(predictions))


def _mean(runs: list[Predictions]) -> Predictions:
  return replace(runs[0], logits=np.mean([run.logits for run in runs], axis=0))


def _names(run: Predictions) -> list[str]:
  return [
    "/".join(name) for name in zip(run.database, run.subject, run.clip, strict=True)
  ]


def _check_same(first: Predictions, second: Predictions, which: tuple[str, str]):
  """Raises a UserError unless both sorted runs hold the same clips and labels."""
  names, others = _names(first), _names(second)
  if names != others:
    name = min(set(names) ^ set(others))
    has, lacks = which if name in set(names) else which[::-1]
    raise UserError(
      f"clip {name} is predicted in {has} but not in {lacks}; expected the same clips"
    )
  if not np.array_equal(first.labels, second.labels):
    row = np.argmax((first.labels != second.labels).any(1))
    raise UserError(
      f"clip {names[row]} has other labels in {which[1]} than in {which[0]}; expected "
      "the same"
    )
