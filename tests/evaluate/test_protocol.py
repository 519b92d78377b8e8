import json
import warnings
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score

from infusenet_jax.clips.labels import AUS, DATABASES
from infusenet_jax.evaluate.protocol import confusion, f1, f1_of_counts, folds
from infusenet_jax.runtime.errors import UserError

COUNTS = json.loads((Path(__file__).parent / "cd6me_counts.json").read_text())


def labels_with(positives, clips):
  return (np.arange(clips)[:, None] < np.array(positives)).astype(np.uint8)


@hypothesis.settings(deadline=None, max_examples=100)
@hypothesis.given(data=st.data())
def test_f1_equals_scikit_learn(data):
  shape = (data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4)))
  labels = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 1)))
  logits = data.draw(hnp.arrays(float, shape, elements=st.sampled_from([-1.5, 0.0, 2])))
  for average in ("binary", "macro"):
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      expected = [
        f1_score(labels[:, au], logits[:, au] > 0, average=average, zero_division=0)
        for au in range(shape[1])
      ]
    np.testing.assert_allclose(f1(labels, logits, average), expected, rtol=0, atol=1e-9)


def test_f1_without_any_positive():
  labels, logits = np.zeros((5, 1)), np.full((5, 1), -1.0)
  assert f1(labels, logits, "binary") == 0
  assert f1(labels, logits, "macro") == 1


def test_a_logit_of_zero_is_negative():
  assert f1(np.ones((2, 1)), np.array([[0.0], [1.0]])) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
  ("labels", "logits"),
  [((3, 2), (3, 1)), ((0, 2), (0, 2)), ((3,), (3,))],
)
def test_f1_of_wrong_shapes(labels, logits):
  with pytest.raises(ValueError, match="expected the same"):
    f1(np.zeros(labels), np.zeros(logits))


def test_f1_of_an_unknown_kind():
  with pytest.raises(ValueError, match="expected 'binary' or 'macro'"):
    f1(np.zeros((1, 1)), np.zeros((1, 1)), "micro")


@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(seed=st.integers(0, 2**32 - 1))
def test_weights_are_repeated_clips(seed):
  rng = np.random.default_rng(seed)
  labels, logits = rng.integers(0, 2, (6, 3)), rng.normal(size=(6, 3))
  weights = rng.integers(0, 4, (2, 6))
  repeated = np.repeat(labels, weights[1], 0), np.repeat(logits, weights[1], 0)
  counts = confusion(labels, logits, weights)
  np.testing.assert_array_equal(counts[1], confusion(*repeated))
  assert (f1_of_counts(counts, "macro") <= 1).all()


def test_always_positive_scores_as_published():
  """17.8 binary and 8.9 macro, in the AU table and in the database table."""
  labels = [labels_with(one["positives"], one["clips"]) for one in COUNTS.values()]
  for average, published in (("binary", 17.8), ("macro", 8.9)):
    together = np.concatenate(labels)
    au = f1(together, np.ones_like(together), average).mean()
    database = np.mean([f1(one, np.ones_like(one), average).mean() for one in labels])
    assert round(100 * au, 1) == round(100 * database, 1) == published


def test_cd6me_leaves_one_database_out():
  database = np.array(["samm", "casme", "samm", "mmew"])
  found = folds("cd6me", database, np.array(["1", "1", "2", "1"]))
  assert [fold.name for fold in found] == ["casme", "samm", "mmew"]
  assert found[1].test.tolist() == [True, False, True, False]
  assert all((fold.train ^ fold.test).all() for fold in found)


def test_loso_stays_inside_its_database():
  database = np.array(["samm", "samm", "casme", "casme", "samm"])
  subject = np.array(["1", "2", "1", "2", "1"])
  found = folds("loso", database, subject)
  assert [fold.name for fold in found] == ["casme/1", "casme/2", "samm/1", "samm/2"]
  assert found[2].test.tolist() == [True, False, False, False, True]
  assert found[2].train.tolist() == [False, True, False, False, False]
  chosen = folds("loso", database, subject, ["casme", "samm/2"])
  assert [fold.name for fold in chosen] == ["casme/1", "casme/2", "samm/2"]


@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(
  clips=st.lists(
    st.tuples(st.sampled_from(list(DATABASES)), st.sampled_from("abc")),
    min_size=1,
    max_size=12,
  ),
  protocol=st.sampled_from(["cd6me", "loso"]),
)
def test_folds_test_every_clip_once_and_never_train_on_it(clips, protocol):
  database, subject = np.array(clips).T
  try:
    found = folds(protocol, database, subject)
  except UserError as error:
    assert "no clips to train on" in str(error)
    return
  assert (sum(fold.test.astype(int) for fold in found) == 1).all()
  people = np.array(["/".join(clip) for clip in clips])
  for fold in found:
    assert not set(people[fold.train]) & set(people[fold.test])


def test_chosen_folds_still_train_on_all_others():
  database = np.array(["casme", "casme2", "samm"])
  (fold,) = folds("cd6me", database, database, ["casme2"])
  assert fold.train.tolist() == [True, False, True]


def test_all_trains_on_every_clip_and_tests_none():
  database = np.array(["casme", "casme2", "casme"])
  (fold,) = folds("all", database, database)
  assert fold.name == "all" and fold.train.all() and not fold.test.any()


@pytest.mark.parametrize(
  ("protocol", "database", "names", "message"),
  [
    ("cd6me", ["casme", "samm"], ["mmew"], "'mmew'.*known: casme, samm$"),
    ("loso", ["casme", "casme"], ["casme/9"], "known: casme, casme/0, casme/1"),
    ("cd6me", ["casme", "casme"], None, "at least two databases"),
    ("loso", ["casme", "samm"], None, "at least two subjects"),
    ("kfold", ["casme", "samm"], None, "'kfold'.*expected 'cd6me'.*'loso'.*or 'all'"),
  ],
)
def test_folds_that_cannot_be(protocol, database, names, message):
  with pytest.raises(UserError, match=message):
    folds(protocol, np.array(database), np.array(["0", "1"]), names)


def test_aus_and_databases_stand_in_the_protocols_order():
  assert AUS == (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)
  assert tuple(DATABASES) == tuple(COUNTS)
