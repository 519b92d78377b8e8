"""Thresholds per AU: the best ones, the rules of ties, and who has no say in them."""

import dataclasses

import numpy as np
import pytest

from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.protocol import f1, folds, pairs
from infusenet_jax.evaluate.thresholds import (
  all_rows,
  best_threshold,
  decided_at,
  fit_thresholds,
  thresholds_of,
  write_thresholds,
)
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.run_files import THRESHOLDS, fold_folder, left_out
from tests.conftest import make_clips


def pair_predictions(fold: str = "samm", seed: int = 0) -> Predictions:
  """What networks without `fold` and one other database say of both, at random."""
  clips, rng = make_clips(60), np.random.default_rng(seed)
  parts = pairs(clips.database, [fold])
  chosen = [np.flatnonzero(pair.test) for pair in parts]
  which = np.concatenate(chosen)
  return Predictions(
    database=clips.database[which],
    subject=clips.subject[which],
    clip=clips.clip[which],
    fold=np.repeat([pair.name for pair in parts], [len(x) for x in chosen]),
    seed=np.full(len(which), 45),
    logits=rng.normal(-1, 1, (len(which), 12)),
    labels=clips.labels[which],
  )


def test_no_threshold_has_a_higher_f1_than_the_best():
  rng = np.random.default_rng(0)
  for _ in range(200):
    count = rng.integers(1, 40)
    # Rounded, so that many logits are equal, some of them to 0.
    logits = np.round(rng.normal(0, 2, count), int(rng.integers(0, 3)))
    labels = (rng.random(count) < rng.uniform(0.05, 0.9)).astype(int)
    tried = np.concatenate([logits, logits - 0.001, [0.0, -100, 100]])
    scores = [f1(labels[:, None], logits[:, None] - at)[0] for at in tried]
    at = best_threshold(labels, logits)
    found = f1(labels[:, None], logits[:, None] - at)[0]
    assert found == max(scores)
    if found == f1(labels[:, None], logits[:, None])[0]:
      assert at == 0  # Nothing is gained by another than the protocol's.


@pytest.mark.parametrize(
  "labels, logits, expected",
  [
    ([0, 0, 1, 1], [-3, -2, -1, -0.5], -1.5),  # Between the two.
    ([0, 0, 1, 1], [-3, -2, 1, 2], 0),  # 0 lies between them.
    ([0, 1], [1, 3], 2),
    ([0, 1], [-3, 0], -1.5),  # 0 itself is no positive.
    ([0, 1], [0, 2], 0),
    ([1, 1], [-1, -2], -3),  # All positive: below the lowest.
    ([1, 0], [1, 2], 0),
    ([0, 0], [3, -2], 0),  # No positives: no threshold is better.
    ([1], [-4], -5),
    ([1, 0, 0, 1], [3, 1, 1, -1], 2),  # F1 2/3 above 1 and for all: 2 is as near as -2.
  ],
)
def test_where_a_threshold_lies(labels, logits, expected):
  assert best_threshold(np.array(labels), np.array(logits)) == expected


def test_the_clips_of_the_fold_have_no_say_in_its_thresholds():
  predictions = pair_predictions()
  expected = fit_thresholds(predictions, "samm")
  own = predictions.database == "samm"
  assert own.sum() == 50 and (~own).sum() == 50
  labels, logits = predictions.labels.copy(), predictions.logits.copy()
  labels[own] ^= 1
  logits[own] += 7
  told = dataclasses.replace(predictions, labels=labels, logits=logits)
  np.testing.assert_array_equal(fit_thresholds(told, "samm"), expected)
  labels[~own] ^= 1
  assert (fit_thresholds(told, "samm") != expected).any()
  for au in range(12):
    pooled = predictions.labels[~own, au], predictions.logits[~own, au]
    assert expected[au] == best_threshold(*pooled)


def test_a_network_that_saw_the_fold_is_refused():
  predictions = pair_predictions("samm")
  with pytest.raises(ValueError, match=r"casme\+samm.* do not leave mmew out"):
    fit_thresholds(predictions, "mmew")
  with pytest.raises(ValueError, match="no predictions of another database"):
    fit_thresholds(predictions[predictions.database == "samm"], "samm")


def test_decided_at_is_above_the_threshold_to_the_last_bit():
  predictions = pair_predictions()
  at = predictions.logits[3].copy()
  at[1] = np.nextafter(at[1], -np.inf)
  found = decided_at(predictions, at).logits > 0
  np.testing.assert_array_equal(found, predictions.logits > at)
  assert not found[3, 0] and found[3, 1]


def test_six_databases_have_fifteen_pairs_and_two_folds_share_one():
  clips = make_clips()
  names = [f.name for f in folds("cd6me", clips.database, clips.subject)]
  every = pairs(clips.database, names)
  assert len(every) == len({p.name for p in every}) == 15
  for pair in every:
    left = left_out(pair.name)
    assert sorted(set(clips.database[pair.test])) == sorted(left)
    np.testing.assert_array_equal(pair.train, ~np.isin(clips.database, left))
  assert [p.name for p in pairs(clips.database, ["samm"])] == [
    *("casme+samm", "casme2+samm", "samm+fourd", "samm+mmew", "samm+casme3a")
  ]
  assert len(pairs(clips.database, ["samm", "mmew"])) == 9
  with pytest.raises(UserError, match="only casme, samm; prepare at least three"):
    pairs(np.array(["casme", "samm"]), ["samm"])


def test_pairs_lie_apart_from_folds(tmp_path):
  assert fold_folder(tmp_path, 45, "samm").parent.name == "folds"
  assert fold_folder(tmp_path, 45, "casme+samm").parent.name == "pairs"
  assert fold_folder(tmp_path, 45, "casme2/a+b").parent.name == "folds"


def test_thresholds_are_read_as_they_were_written(tmp_path):
  at = np.random.default_rng(0).normal(0, 1, 12)
  folder = tmp_path / "seed45-samm"
  folder.mkdir()
  assert thresholds_of(folder) is None
  write_thresholds(folder, "samm", 45, at)
  np.testing.assert_array_equal(thresholds_of(folder), at)
  heading, row = all_rows([folder / THRESHOLDS])
  assert heading[:3] == ["fold", "seed", "threshold_AU1"] and row[:2] == ["samm", "45"]


@pytest.mark.parametrize("junk", ["", "a,b\n1,2\n", "\xff", None])
def test_a_damaged_file_of_thresholds_is_one_line(tmp_path, junk):
  write_thresholds(tmp_path, "samm", 45, np.zeros(12))
  path = tmp_path / THRESHOLDS
  content = path.read_text()
  path.write_text(content.replace("0.0", "nan", 1) if junk is None else junk)
  with pytest.raises(UserError, match=r"thresholds\.csv: .*train its fold again") as e:
    thresholds_of(tmp_path)
  assert "\n" not in str(e.value)
