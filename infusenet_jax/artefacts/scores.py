"""Computes the numbers of the artefact study: robustness, false alarms, pointing."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from infusenet_jax.artefacts.runs import Look
from infusenet_jax.clips.labels import AUS
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.protocol import AVERAGES
from infusenet_jax.evaluate.scores import aligned_runs, cd6me_tables, compare

NORMAL = "nuisance-1"
NO_NUISANCE = "still-none"
RESAMPLES = 1000

# {run: {measure: {test set: numbers}}}, in percent except for the change of logits.
Results = dict[str, dict[str, dict[str, dict]]]


class Part(NamedTuple):
  """Measurements of one run on one test set.

  predictions: of the set's clips.
  looks: where the run looked in clips that show AUs; [] for faces at rest.
  """

  predictions: Predictions
  looks: list[Look]


def summarise(parts: Mapping[tuple[str, str], Part], runs: Sequence[str]) -> Results:
  """Computes the study's numbers, by run, by measure and by test set.

  The measures are "robustness", "response" and "pointing"; see the functions so named.

  Args:
    parts: {(run, set): Part}; sets of moving faces are called nuisance-N, those of
      faces at rest still-KIND-N.
    runs: names, in the tables' order.
  """
  results = {}
  for run in runs:
    mine = {name: part for (who, name), part in parts.items() if who == run}
    moving = [name for name in mine if name.startswith("nuisance")]
    still = [name for name in mine if name.startswith("still")]
    normal, rest = mine[NORMAL].predictions, mine[NO_NUISANCE].predictions
    results[run] = {
      "robustness": {n: robustness(mine[n].predictions, normal) for n in moving},
      "response": {n: response(mine[n].predictions, rest) for n in still},
      "pointing": {n: pointing(mine[n].looks) for n in moving},
    }
  return results


def robustness(predictions: Predictions, normal: Predictions) -> dict:
  """Scores the predictions on a test set of moving faces, beside normal nuisance.

  Args:
    predictions: on the test set.
    normal: on the set at nuisance 1.

  Returns:
    By F1 kind, in percent: the average of the database table with its interval, the F1
    of each AU ("aus"), and how much the average differs from that of `normal`, paired
    by clip ("against_normal").
  """
  tables = cd6me_tables(predictions, resamples=RESAMPLES)
  paired = compare(*_same_clips(predictions, normal), resamples=RESAMPLES)
  found = {}
  for kind in AVERAGES:
    columns = vars(tables.database[kind])
    score = {name: 100 * float(values[-1]) for name, values in columns.items()}
    names = ("mean", "low", "high")
    difference = zip(names, paired["database"][kind], strict=True)
    aus = _by_au(100 * tables.au[kind].mean[:-1])
    against = {"against_normal": {n: 100 * x for n, x in difference}}
    found[kind] = score | {"aus": aus} | against
  return found


def response(predictions: Predictions, rest: Predictions) -> dict:
  """Counts false alarms on faces at rest, and how nuisance changes the logits.

  Args:
    predictions: on the test set.
    rest: on the set of faces at rest without nuisance.

  Returns:
    "alarms": false alarms in percent of clips, the mean over AUs with its 95 % interval
    over clips; "change" and "moved": the mean change of a logit and the mean |change|,
    paired by clip; each also by AU ("aus").
  """
  first, second = (aligned_runs(p) for p in _same_clips(predictions, rest))
  logits, before = (np.stack([run.logits for run in runs]) for runs in (first, second))
  alarms = 100 * (logits > 0).mean(0)
  return {
    "clips": len(alarms),
    "alarms": _interval(alarms.mean(1), np.zeros(len(alarms), int))
    | {"aus": _by_au(alarms.mean(0))},
    "change": {"mean": float((logits - before).mean())}
    | {"aus": _by_au((logits - before).mean((0, 1)))},
    "moved": {"mean": float(np.abs(logits - before).mean())}
    | {"aus": _by_au(np.abs(logits - before).mean((0, 1)))},
  }


def pointing(looks: Sequence[Look]) -> dict:
  """Computes how much of each evidence lies where the face truly moved, in percent.

  An evidence is a map of what a network looks at, such as "flow saliency". Its share
  inside the moving region is averaged over seeds, then over the clips that show an AU,
  then over the AUs. "region" and "crop" are for comparison: what looking evenly at the
  whole face, or at the whole crop, would score.
  """
  clips: dict[tuple, list[Look]] = {}
  for look in looks:
    clips.setdefault((look.database, look.subject, look.clip, look.au), []).append(look)
  aus = np.array([key[-1] for key in clips])
  found = {}
  for name in ["region", *(looks[0].shares if looks else ())]:
    values = [
      np.mean([_share(look, name) for look in group]) for group in clips.values()
    ]
    known = np.isfinite(values := 100 * np.array(values))
    if known.any():
      found[name] = _interval(values[known], aus[known]) | {
        "clips": int(known.sum()),
        "aus": {
          f"AU{au}": float(values[known & (aus == au)].mean())
          for au in AUS
          if (known & (aus == au)).any()
        },
      }
  return found


def _share(look: Look, name: str) -> float:
  return look.region if name == "region" else look.shares[name]


def shown_evidence(found: Mapping[str, dict]) -> dict[str, str]:
  """Chooses the evidences that tables and figures show, out of those in `pointing`.

  Infused features are shown for the first stage, whose map is the finest, and for the
  last one, from which the network decides.

  Args:
    found: from `pointing`.

  Returns:
    {label in tables and figures: name in `found`}, without those that `found` lacks.
  """
  features = sorted(name for name in found if name.startswith("feature"))
  called = {name: name for name in ("flow input", "magnified input")}
  if features:
    called["first infused features"] = features[0]
    called["last infused features"] = features[-1]
  called |= {name: name for name in ("magnified saliency", "flow saliency")}
  return {label: name for label, name in called.items() if name in found}


def _by_au(values: np.ndarray) -> dict[str, float]:
  return {f"AU{au}": float(value) for au, value in zip(AUS, values, strict=True)}


def _interval(values: np.ndarray, groups: np.ndarray) -> dict[str, float]:
  """Averages the groups' means, with a bootstrap 95 % interval over their members."""
  rng = np.random.default_rng(0)
  means, draws = [], []
  for group in np.unique(groups):
    mine = values[groups == group]
    means.append(mine.mean())
    draws.append(rng.choice(mine, (RESAMPLES, len(mine))).mean(1))
  low, high = np.percentile(np.mean(draws, 0), [2.5, 97.5])
  return {"mean": float(np.mean(means)), "low": float(low), "high": float(high)}


def _same_clips(first: Predictions, second: Predictions) -> list[Predictions]:
  """Removes from both the clips that the other lacks.

  A test set may lack a clip that could not be prepared there.
  """
  names = [
    list(zip(p.database, p.subject, p.clip, strict=True)) for p in (first, second)
  ]
  common = set(names[0]) & set(names[1])
  return [
    p[np.array([name in common for name in own])]
    for p, own in zip((first, second), names, strict=True)
  ]
