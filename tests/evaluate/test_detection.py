"""Counts and rates beside scikit-learn's, where they are defined and where not."""

import json
import warnings

import numpy as np
import pytest
from sklearn import metrics

from infusenet_jax.clips.labels import AUS
from infusenet_jax.evaluate.detection import RATES, detect
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.scores import cd6me_tables, held_out

KEYS = ("casme2", "samm", "own")


def make_predictions(seed=45):
  """Three databases. In SAMM AU1 is never shown, AU2 always, AU4 never said."""
  rng = np.random.default_rng(seed)
  database = np.repeat(KEYS, (40, 20, 10))
  labels = (np.random.default_rng(0).random((70, 12)) < 0.3).astype(np.uint8)
  logits = np.round(rng.normal(size=labels.shape) + 2.0 * labels - 1, 1)  # Ties.
  samm = database == "samm"
  labels[samm, 0], labels[samm, 1] = 0, 1
  logits[samm, 2] = -np.abs(logits[samm, 2])
  return Predictions(
    database=database,
    subject=np.array([f"s{i % 4}" for i in range(70)]),
    clip=np.array([f"c{i:02d}" for i in range(70)]),
    fold=database,
    seed=np.full(70, seed),
    logits=logits,
    labels=labels,
  )


def scikit_learns(labels, logits):
  """[TP, FP, FN, TN], then precision, recall and AUC, NaN where not defined."""
  said = logits > 0
  (tn, fp), (fn, tp) = metrics.confusion_matrix(labels, said, labels=[0, 1])
  rates = [
    of(labels, said, zero_division=np.nan)
    for of in (metrics.precision_score, metrics.recall_score)
  ]
  one_kind = len(set(labels.tolist())) < 2
  rates.append(np.nan if one_kind else metrics.roc_auc_score(labels, logits))
  return [tp, fp, fn, tn], rates


def test_every_au_of_every_database_equals_scikit_learn():
  one = make_predictions()
  found = detect(one)
  assert found.databases == ("casme2", "samm", "own")
  undefined = 0
  for row, key in enumerate([*KEYS, None]):
    part = one[one.database == key] if key else one
    for column in range(12):
      counts, rates = scikit_learns(part.labels[:, column], part.logits[:, column])
      assert found.counts[row, column].tolist() == counts
      ours = [getattr(found, rate)[row, column] for rate in RATES]
      np.testing.assert_allclose(ours, rates, rtol=0, atol=1e-12)
      undefined += np.isnan(rates).sum()
  samm = {rate: getattr(found, rate)[1] for rate in RATES}
  assert np.isnan([samm["recall"][0], samm["auc"][0], samm["auc"][1]]).all()
  assert np.isnan(samm["precision"][2]) and undefined >= 4


def test_all_aus_are_counted_together_and_their_auc_is_the_mean_of_those_defined():
  one = make_predictions()
  found = detect(one)
  np.testing.assert_array_equal(found.counts[:, 12], found.counts[:, :12].sum(1))
  samm = one[one.database == "samm"]
  _, (precision, recall, _) = scikit_learns(samm.labels.ravel(), samm.logits.ravel())
  assert found.precision[1, 12] == pytest.approx(precision, abs=1e-12)
  assert found.recall[1, 12] == pytest.approx(recall, abs=1e-12)
  np.testing.assert_allclose(found.auc[:, 12], np.nanmean(found.auc[:, :12], axis=1))


def test_where_nothing_is_defined_there_is_no_number_and_no_warning():
  one = make_predictions()[:5]
  nothing = Predictions(
    **vars(one) | {"labels": 0 * one.labels, "logits": -1 - 0 * one.logits}
  )
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    found = detect(nothing)
  for rate in RATES:
    assert np.isnan(getattr(found, rate)).all()
  text = json.dumps(found.to_dict(), allow_nan=False)
  assert json.loads(text)["all"]["AU1"] == {
    **{"tp": 0, "fp": 0, "fn": 0, "tn": 5},
    **dict.fromkeys(RATES),
  }


def test_tables_hold_the_detection_of_the_mean_logits():
  runs = [make_predictions(seed) for seed in (45, 46)]
  both = Predictions(
    **{
      name: np.concatenate([getattr(run, name) for run in runs])
      for name in ("database", "subject", "clip", "fold", "seed", "logits", "labels")
    }
  )
  found = cd6me_tables(both, resamples=2).detection
  one = held_out(both)
  assert len(one) == 70
  np.testing.assert_array_equal(found.counts, detect(one).counts)
  logits = (runs[0].logits + runs[1].logits) / 2
  expected = ((logits > 0) & (runs[0].labels > 0)).sum()
  assert found.to_dict()["all"]["all"]["tp"] == expected
  assert list(found.to_dict()["samm"]) == [*(f"AU{au}" for au in AUS), "all"]
