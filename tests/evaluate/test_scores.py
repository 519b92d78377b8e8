import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.evaluate.predictions import ARRAYS, Predictions
from infusenet_jax.evaluate.scores import cd6me_tables, compare
from infusenet_jax.runtime.errors import UserError


def simulated_run(
  seed=45, sizes=(5, 9, 4, 6, 7, 11), rate=0.3, skill=2.0, positives=None
):
  """Predictions of a model with some skill: the labels do not depend on the seed."""
  database = np.repeat(list(DATABASES)[: len(sizes)], sizes)
  count = len(database)
  labels = np.random.default_rng(0).random((count, 12)) < rate
  noise = np.random.default_rng(seed).normal(size=(count, 12))
  return Predictions(
    database=database,
    subject=np.array(["1"] * count),
    clip=np.array([f"clip{i:03d}" for i in range(count)]),
    fold=database,
    seed=np.full(count, seed),
    logits=noise + skill * labels - 1,
    labels=labels.astype(np.uint8),
  )


def together(runs):
  return Predictions(
    *(np.concatenate([getattr(run, name) for run in runs]) for name in ARRAYS)
  )


def test_tables_equal_scikit_learn():
  runs = [simulated_run(seed) for seed in (45, 46, 47)]
  order = np.random.default_rng(1).permutation(3 * len(runs[0]))
  tables = cd6me_tables(together(runs)[order], resamples=20)
  keys = list(DATABASES)
  assert tables.databases == tuple(keys)
  assert (tables.seeds, tables.clips) == ((45, 46, 47), (5, 9, 4, 6, 7, 11))
  for kind in ("binary", "macro"):

    def reference(part, kind=kind):
      return np.array(
        [
          f1_score(
            part.labels[:, au], part.logits[:, au] > 0, average=kind, zero_division=0
          )
          for au in range(12)
        ]
      )

    au = np.array([reference(run) for run in runs])
    fold = np.array(
      [[reference(run[run.database == key]) for key in keys] for run in runs]
    )
    for table, values in (("au", au), ("database", fold.mean(2))):
      scores = getattr(tables, table)[kind]
      average = values.mean(-1)
      np.testing.assert_allclose(
        scores.mean[..., :-1], values.mean(0), rtol=0, atol=1e-9
      )
      np.testing.assert_allclose(
        scores.mean[..., -1], average.mean(0), rtol=0, atol=1e-9
      )
      np.testing.assert_allclose(
        scores.std[..., -1], average.std(0, ddof=1), rtol=0, atol=1e-9
      )
    folds = tables.fold[kind]
    np.testing.assert_allclose(folds[:, :-1], fold.mean(0), rtol=0, atol=1e-9)
    np.testing.assert_allclose(folds[:, -1], fold.mean((0, 2)), rtol=0, atol=1e-9)


def test_always_positive_is_a_model_that_says_so():
  run = simulated_run()
  says_so = dataclasses.replace(run, logits=np.ones_like(run.logits))
  tables, expected = cd6me_tables(run), cd6me_tables(says_so)
  for table in ("au", "database"):
    for kind in ("binary", "macro"):
      np.testing.assert_array_equal(
        tables.always[table][kind], getattr(expected, table)[kind].mean
      )


@hypothesis.settings(deadline=None, max_examples=15)
@hypothesis.given(
  sizes=st.lists(st.integers(1, 8), min_size=1, max_size=6),
  rate=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
  runs=st.integers(1, 2),
)
def test_every_score_lies_in_its_interval(sizes, rate, runs):
  tables = cd6me_tables(
    together([simulated_run(45 + i, sizes, rate) for i in range(runs)]),
    resamples=50,
  )
  for table in (tables.au, tables.database):
    for scores in table.values():
      assert (scores.low >= 0).all() and (scores.high <= 1).all()
      assert (scores.low <= scores.mean).all() and (scores.mean <= scores.high).all()
      assert (scores.std >= 0).all()


def test_intervals_hold_what_other_clips_would_score():
  """Of 40 studies, nearly all intervals hold the score of a study without end."""

  def study(seed, clips):
    rng = np.random.default_rng(seed)
    labels = rng.random((clips, 12)) < 0.2
    run = simulated_run(sizes=(clips,))
    logits = rng.normal(size=labels.shape) + 2 * labels - 1
    return dataclasses.replace(run, labels=labels.astype(np.uint8), logits=logits)

  truth = cd6me_tables(study(999, 20000), resamples=2).au["binary"].mean
  held = []
  for seed in range(40):
    scores = cd6me_tables(study(seed, 120), resamples=200).au["binary"]
    held.append((scores.low <= truth) & (truth <= scores.high))
  assert 0.9 <= np.mean(held) <= 0.99


def people(run, each):
  """The same clips, `each` of one subject."""
  count = len(run)
  return dataclasses.replace(
    run, subject=np.array([f"s{i // each:03d}" for i in range(count)])
  )


def test_intervals_over_subjects_know_that_clips_of_one_person_are_alike():
  run = simulated_run(sizes=(120,))
  alone = cd6me_tables(people(run, 1))  # Everyone gave one clip.
  low, high = alone.subjects["au"]["binary"]
  np.testing.assert_array_equal(low, alone.au["binary"].low)
  np.testing.assert_array_equal(high, alone.au["binary"].high)
  # Ten clips of each person, all alike: as much is known as from a tenth of them.
  tenth = people(simulated_run(sizes=(12,)), 1)
  clips = np.array([f"clip{i:03d}" for i in range(120)])
  alike = dataclasses.replace(tenth[np.repeat(np.arange(12), 10)], clip=clips)
  tables, expected = cd6me_tables(alike), cd6me_tables(tenth).au["binary"]
  low, high = tables.subjects["au"]["binary"]
  np.testing.assert_allclose(low, expected.low, rtol=0, atol=1e-9)
  np.testing.assert_allclose(high, expected.high, rtol=0, atol=1e-9)
  narrow = tables.au["binary"]
  assert high[-1] - low[-1] > 2 * (narrow.high[-1] - narrow.low[-1])


def test_differences_by_subjects_are_paired_too():
  good, poor = (people(simulated_run(skill=skill), 3) for skill in (4.0, 1.0))
  gain, low, high = compare(good, poor, by="subjects")["database"]["binary"]
  assert gain == compare(good, poor)["database"]["binary"][0]
  assert low < gain < high


def test_leave_one_subject_out_is_scored_per_database():
  run = simulated_run()
  subjects = dataclasses.replace(
    run, fold=np.array([f"{key}/{i}" for i, key in enumerate(run.database)])
  )
  np.testing.assert_array_equal(
    cd6me_tables(subjects).database["binary"].mean,
    cd6me_tables(run).database["binary"].mean,
  )


def test_one_models_gain_is_paired():
  good = together([simulated_run(s, skill=4.0) for s in (45, 46)])
  poor = together([simulated_run(s, skill=1.0) for s in (7, 8)])
  gain, low, high = compare(good, poor)["database"]["binary"]
  difference = [
    cd6me_tables(model).database["binary"].mean[-1] for model in (good, poor)
  ]
  assert gain == pytest.approx(difference[0] - difference[1])
  assert 0 < low < gain < high
  assert compare(good, good)["au"]["macro"] == (0, 0, 0)
  loss = compare(poor, good)["database"]["binary"]
  np.testing.assert_allclose(loss, (-gain, -high, -low), rtol=0, atol=1e-9)


def change_one_label(run):
  labels = run.labels.copy()
  labels[3, 0] ^= 1
  return dataclasses.replace(run, labels=labels)


@pytest.mark.parametrize(
  ("parts", "message"),
  [
    ([simulated_run()[:0]], "no predictions"),
    (
      [simulated_run(), simulated_run()],
      "casme/1/clip000 is predicted twice in the run of seed 45",
    ),
    (
      [simulated_run(45), simulated_run(46)[1:]],
      "clip000 is predicted in the run of seed 45 but not in the run of seed 46",
    ),
    (
      [simulated_run(45)[2:], simulated_run(46)],
      "clip000 is predicted in the run of seed 46 but not in the run of seed 45",
    ),
    (
      [simulated_run(45), change_one_label(simulated_run(46))],
      "casme/1/clip003 has other labels in the run of seed 46",
    ),
    (
      [dataclasses.replace(simulated_run(sizes=(1,)), database=np.array(["CK"]))],
      "unknown database 'CK'",
    ),
  ],
)
def test_runs_that_do_not_fit_together(parts, message):
  with pytest.raises(UserError, match=message):
    cd6me_tables(together(parts))


def test_models_of_other_clips_are_not_compared():
  with pytest.raises(UserError, match="in the first model but not in the second model"):
    compare(simulated_run(), simulated_run()[1:])
