"""Students: their loss by its formulas, who teaches them what, and who may not."""

import contextlib
import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import distill as distill_config
from infusenet_jax.evaluate.predictions import (
  Predictions,
  concatenate,
  write_predictions,
)
from infusenet_jax.evaluate.protocol import Fold, folds
from infusenet_jax.predict.weights.networks import load_run
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training import distill
from infusenet_jax.training.distill import binary_kl, feature_error, taught
from infusenet_jax.training.engine.experiment import make_experiment, make_job
from infusenet_jax.training.engine.losses import masked_mean
from infusenet_jax.training.engine.network import build_network, initial_state
from infusenet_jax.training.run import Records
from infusenet_jax.training.teacher import (
  FEATURES,
  LOGITS,
  SHARES,
  Teacher,
  principal_components,
)
from infusenet_jax.training.trained import open_run, restore
from tests.conftest import make_clips, make_tiny_config
from tests.training.conftest import compiled_network, start
from tests.training.engine.test_export import shapes

RECORDS = {"casme2": "a"}  # As `start` has them.
CLIP = ("database", "subject", "clip", "labels")


def make_teacher_config():
  config = make_tiny_config()
  config.model.name, config.seeds = "flow_branch", (45, 46)
  config.train.epochs = 1
  return config


def make_student_config(teacher, **how):
  config = distill_config.get_config("quickstart")
  small = make_teacher_config()
  config.image_size, config.model.width = small.image_size, small.model.width
  config.train.update(small.train)
  config.folds, config.teacher = small.folds, str(teacher)
  config.distill.update(how)
  return config


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
  """The workdir of a run that looks finished; not to be changed.

  Its networks are those that were drawn: training them would teach nothing here.
  """
  workdir = tmp_path_factory.mktemp("taught") / "teacher"
  config, clips, parts = make_teacher_config(), make_clips(), []
  network = compiled_network(config, device_mesh(config.train.batch_size))
  for place, fold in enumerate(samm_and_casme2(clips)):
    for seed in config.seeds:
      job = make_job(workdir, seed, fold)
      with contextlib.closing(job.open_checkpoints()) as checkpoints:
        checkpoints.save(initial_state(config, network, seed + 100 * place))
      parts.append(
        Predictions(
          **{name: getattr(clips, name)[fold.test] for name in CLIP},
          fold=np.full(5, fold.name),
          seed=np.full(5, seed),
          logits=np.zeros((5, 12)),
          simulated=True,
        )
      )
  write_predictions(workdir / "predictions.csv", concatenate(parts))
  (workdir / "config.json").write_text(config.to_json_best_effort())
  (workdir / "records.json").write_text(json.dumps(RECORDS))
  (workdir / "results.md").write_text("")
  return workdir


def samm_and_casme2(clips):
  return folds("cd6me", clips.database, clips.subject, ["casme2", "samm"])


@pytest.fixture
def trained_teacher(tmp_path):
  start(make_teacher_config(), tmp_path / "teacher", make_clips())
  return tmp_path / "teacher"


def learn(config, workdir):
  return distill.run(config, workdir, lambda _: Records(make_clips(), RECORDS))


def workdir_of(config, folder, records=None):
  """A student's workdir as it is when training begins."""
  folder.mkdir(parents=True)
  content = json.dumps(RECORDS if records is None else records)
  (folder / "records.json").write_text(content)
  return Teacher(config, folder)


def test_kl_is_that_of_the_two_outcomes_of_each_au():
  rng = np.random.default_rng(0)
  z, theirs, t = rng.normal(0, 3, (5, 12)), rng.normal(0, 3, (5, 12)), 2.5
  p, q = (1 / (1 + np.exp(-x / t)) for x in (theirs, z))
  expected = t**2 * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
  batch = {LOGITS: theirs, "labels": np.zeros((5, 12)), "weights": np.ones(5)}
  with jax.enable_x64(True):
    found = binary_kl(t)(jnp.asarray(z), batch["labels"], batch)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    slope = jax.grad(lambda z: masked_mean(binary_kl(t), z, batch))
    np.testing.assert_allclose(slope(jnp.asarray(theirs)), 0, atol=1e-12)
    # In the limit of high temperatures it is the squared distance of logits over 8.
    far = binary_kl(1e4)(jnp.asarray(z), batch["labels"], batch)
    np.testing.assert_allclose(far, (z - theirs) ** 2 / 8, rtol=1e-3)
    batch["weights"][3:] = 0
    alone = {name: x[:3] for name, x in batch.items()}
    np.testing.assert_allclose(
      masked_mean(binary_kl(t), jnp.asarray(z), batch),
      masked_mean(binary_kl(t), jnp.asarray(z[:3]), alone),
      rtol=1e-12,
    )


def test_components_are_standardised_and_do_not_ask_for_an_order_of_features():
  rng = np.random.default_rng(0)
  features = rng.normal(0, 1, (40, 6)) @ rng.normal(0, 1, (6, 10)) + 3
  features[:, 4] = 7.0  # A feature that is always the same.
  found, shares = principal_components(features, 8)
  assert found.shape == (40, 8) and found.dtype == np.float32
  np.testing.assert_allclose(found[:, :6].mean(0), 0, atol=1e-5)
  np.testing.assert_allclose(found[:, :6].var(0), 1, rtol=1e-5)
  np.testing.assert_allclose(shares.sum(), 1, rtol=1e-5)
  assert (np.diff(shares) <= 0).all() and shares[6:].max() < 1e-12
  shuffled = features[:, rng.permutation(10)] * rng.uniform(1, 9, 10)
  again, _ = principal_components(shuffled, 6)
  np.testing.assert_allclose(again, found[:, :6], atol=1e-3)
  few, of_few = principal_components(features[:3], 8)
  assert of_few[:2].sum() > 0.999 and np.isfinite(few).all()
  constant, none = principal_components(np.ones((4, 3)), 2)
  assert not constant.any() and not none.any()


def test_the_feature_error_is_that_of_the_teachers_standardised_features():
  rng = np.random.default_rng(1)
  features = rng.normal(0, 1, (30, 4)) @ rng.normal(0, 1, (4, 5))
  components, shares = principal_components(features, 5)
  z = (features - features.mean(0)) / features.std(0)
  back = z.T @ components / len(z)  # (P, C): from components to features.
  ours = rng.gamma(2, 1, (30, 7))
  standard = ((ours - ours.mean(0)) / ours.std(0))[:, :5]
  expected = ((z - standard @ back.T) ** 2).mean()
  batch = {
    FEATURES: components,
    SHARES: np.tile(shares, (30, 1)),
    "weights": np.ones(30, np.float32),
  }
  found = feature_error(jnp.asarray(ours, jnp.float32), batch)
  np.testing.assert_allclose(found, expected, rtol=1e-3)
  same = components * rng.uniform(0.5, 2, 5) + rng.normal(0, 1, 5)
  assert feature_error(jnp.asarray(same, jnp.float32), batch) < 1e-3


@pytest.mark.slow
def test_the_step_of_a_student_that_is_told_nothing_is_that_of_the_untaught(teacher):
  config = make_student_config(teacher, kl=0.0, features=0.0)
  mesh = device_mesh(config.train.batch_size)
  objective = taught(config, Teacher(config, teacher.with_name("student")))
  networks = [build_network(config, mesh, objective=o) for o in (objective, None)]
  told, untaught = (
    network.train_steps.lower(*shapes(config, network)[0]).as_text()
    for network in networks
  )
  assert told == untaught and not objective.shapes


@pytest.mark.slow
def test_a_student_that_is_told_nothing_is_the_untaught_network_bit_for_bit(
  trained_teacher, tmp_path
):
  teacher = trained_teacher
  untaught = start(
    make_teacher_config_of_one_seed(), tmp_path / "untaught", make_clips()
  )
  config = make_student_config(teacher, kl=0.0, features=0.0)
  said = learn(config, tmp_path / "student")
  assert "quickstart-student" in said and "simulated data" in said
  for name in ("predictions.csv", "folds/seed45-samm/losses.csv"):
    first, second = (tmp_path / run / name for run in ("untaught", "student"))
    assert first.read_bytes() == second.read_bytes()
  assert len(untaught.predictions) == 10


def make_teacher_config_of_one_seed():
  config = make_teacher_config()
  config.seeds = (45,)
  return config


@pytest.mark.slow
def test_each_fold_learns_from_the_networks_that_left_out_the_same_clips(
  teacher, tmp_path
):
  config, clips = make_student_config(teacher), make_clips()
  asked = workdir_of(config, tmp_path / "student")
  theirs = make_teacher_config()
  network = compiled_network(theirs, device_mesh(theirs.train.batch_size))
  experiment = make_experiment(theirs, network, clips)
  like, said = experiment.initial_state(45), {}
  for fold in samm_and_casme2(clips):
    told = said[fold.name] = asked(fold, clips)
    every = Fold("", ~fold.train, fold.train)
    logits = [
      experiment.predict(restore(teacher, seed, fold.name, like), every)
      for seed in (45, 46)
    ]
    np.testing.assert_allclose(
      told[LOGITS][fold.train], np.mean(logits, 0), rtol=1e-4, atol=1e-5
    )
    for name in (LOGITS, FEATURES):
      assert np.isfinite(told[name][fold.train]).all()
      assert np.isnan(told[name][fold.test]).all()
    assert told[FEATURES].shape == (30, 32) == (30, asked.width)
  both = ~np.isin(clips.database, ["casme2", "samm"])
  first, second = (said[name][LOGITS][both] for name in ("casme2", "samm"))
  assert np.abs(first - second).max() > 1e-3
  # Labels of the clips left out change nothing of what is said, nor are they there.
  others = dataclasses.replace(clips, labels=1 - clips.labels)
  fold = Fold("samm", clips.database != "samm", clips.database == "samm")
  again = workdir_of(config, tmp_path / "again")(fold, others)
  np.testing.assert_array_equal(again[FEATURES], said["samm"][FEATURES])


@pytest.mark.release
def test_a_student_comes_to_say_what_its_teacher_says(trained_teacher, tmp_path):
  teacher, clips, found = trained_teacher, make_clips(), []
  fold = Fold("samm", clips.database != "samm", clips.database == "samm")
  for kl in (0.0, 30.0):
    config = make_student_config(teacher, kl=kl, features=0.0)
    config.folds, config.train.epochs = "samm", 12
    learn(config, tmp_path / str(kl))
    network = compiled_network(config, device_mesh(config.train.batch_size))
    experiment = make_experiment(config, network, clips)
    (state,) = open_run(tmp_path / str(kl)).states(network)
    found.append(experiment.predict(state, Fold("", fold.test, fold.train)))
  theirs = Teacher(config, tmp_path / "30.0")(fold, clips)[LOGITS][fold.train]
  errors = [np.square(x - theirs).mean() for x in found]
  assert errors[1] < errors[0] / 2


@pytest.mark.release
def test_features_are_learned_and_networks_of_students_are_used_as_any_other(
  trained_teacher, tmp_path
):
  teacher = trained_teacher
  config = make_student_config(teacher, kl=1.0, features=5.0)
  config.folds = "samm"
  learn(config, tmp_path / "student")
  networks = load_run(tmp_path / "student")
  assert networks.needs == ("flow",) and networks.members == ((45, "samm"),)
  clips, predictions = make_clips(), open_run(tmp_path / "student").predictions
  samm = clips.database == "samm"
  logits = networks.logits({"flow": clips.flow[samm]})
  np.testing.assert_allclose(logits, predictions.logits, rtol=1e-4, atol=1e-4)
  # Finished, it needs no teacher to say its tables again.
  config.teacher = str(teacher)
  shutil.move(teacher, teacher.with_name("away"))
  try:
    assert "quickstart-student" in learn(config, tmp_path / "student")
  finally:
    shutil.move(teacher.with_name("away"), teacher)


@pytest.mark.slow
def test_a_student_goes_on_with_what_was_said_and_with_no_other_teacher(
  teacher, tmp_path
):
  other = shutil.copytree(teacher, tmp_path / "teacher")
  config, clips = make_student_config(other), make_clips()
  fold = Fold("samm", clips.database != "samm", clips.database == "samm")
  said = workdir_of(config, tmp_path / "student")(fold, clips)
  shutil.rmtree(other / "folds")  # Nothing is computed again.
  again = Teacher(config, tmp_path / "student")(fold, clips)
  np.testing.assert_array_equal(again[FEATURES], said[FEATURES])
  path = other / "predictions.csv"
  path.write_text(path.read_text().replace("45,", "47,", 1))
  with pytest.raises(UserError, match=r"samm\.npz: is of another teacher than"):
    Teacher(config, tmp_path / "student")(fold, clips)
  (tmp_path / "student" / "teacher" / "samm.npz").write_bytes(b"junk")
  with pytest.raises(UserError, match=r"samm\.npz: cannot be read .*delete"):
    Teacher(config, tmp_path / "student")(fold, clips)


def test_teachers_that_cannot_teach_are_refused_in_one_line(teacher, tmp_path):
  def refuse(message, config):
    with pytest.raises(UserError, match=message) as refused:
      learn(config, tmp_path / "student")
    assert "\n" not in str(refused.value)

  config = make_student_config("")
  refuse(r"config\.teacher is empty; expected the workdir", config)
  config = make_student_config(tmp_path / "absent")
  refuse(r"config\.json.*--config\.teacher takes a workdir", config)
  config = make_student_config(teacher)
  config.folds = "samm,mmew"
  refuse("has no fold mmew of seed 45 .its folds: casme2, samm.", config)
  config = make_student_config(teacher)
  config.decide_at = "fitted"
  refuse("expected a teacher of config.decide_at='fitted', or take '0'", config)
  config = make_student_config(teacher)
  config.protocol = "loso"
  refuse("its folds are of protocol 'cd6me'; expected 'loso'", config)
  other = shutil.copytree(teacher, tmp_path / "teacher")
  config = make_student_config(other)
  text = (other / "predictions.csv").read_text()
  (other / "predictions.csv").write_text(text.replace("logit_AU17", "logit_AU20"))
  refuse("lacks the column logit_AU17", config)
  (other / "predictions.csv").write_text(text)
  kept = (other / "config.json").read_text()
  for field, value, message in (
    ("name", "sssnet", "is a run of sssnet, which has no pooled features"),
    ("epochs", 0, "tested a file of weights"),
  ):
    told = json.loads(kept)
    told["model" if field == "name" else "train"][field] = value
    (other / "config.json").write_text(json.dumps(told))
    refuse(message, config)
  (other / "config.json").write_text(kept)
  (other / "results.md").unlink()
  refuse("this run is not finished", config)
  config = make_student_config(teacher)
  asked = workdir_of(config, tmp_path / "other", {"casme2": "b"})
  with pytest.raises(UserError, match="was trained on other records of casme2, so"):
    asked(samm_and_casme2(make_clips())[1], make_clips())


@pytest.mark.parametrize(
  "changes, message",
  [
    (
      {"model": {"name": "sssnet"}},
      "a student sees flow alone and has pooled features",
    ),
    ({"model": {"name": "infusenet"}}, "expected one of flow_branch, resnet18"),
    ({"distill": {"kl": -1.0}}, "config.distill.kl is -1.0; expected 0 or more"),
    ({"distill": {"temperature": 0.0}}, "temperature is 0.0; expected a number above"),
    ({"protocol": "all", "folds": "all"}, "tested on what its teacher never saw"),
  ],
)
def test_students_that_cannot_be_are_refused(tmp_path, changes, message):
  config = make_student_config(tmp_path)
  config.update(changes)
  with pytest.raises(UserError, match=message):
    distill.check_student(config)


def test_the_config_names_its_scales():
  assert distill_config.get_config().image_size == 224
  with pytest.raises(UserError, match="expected one of cd6me, quickstart"):
    distill_config.get_config("large")


def test_a_student_hands_its_own_loss_what_that_needs(teacher, tmp_path):
  config = make_student_config(teacher, kl=0.0, features=2.0)
  config.train.loss = "focal"
  clips = make_clips()
  objective = taught(config, workdir_of(config, tmp_path / "student"))
  fold = Fold("samm", clips.database != "samm", clips.database == "samm")
  told = objective.arrays(fold, clips)
  assert {k: x.shape[1:] for k, x in told.items()} == objective.shapes
  assert set(told) == {"prior", FEATURES, SHARES}


@pytest.mark.release
def test_pairs_are_taught_by_pairs_and_infusenet_is_a_teacher(tmp_path):
  config = make_tiny_config()
  config.folds, config.decide_at, config.train.epochs = "samm", "fitted", 1
  start(config, tmp_path / "teacher", make_clips())
  config = make_student_config(tmp_path / "teacher")
  config.folds, config.decide_at = "samm", "fitted"
  assert "decided at thresholds fitted" in learn(config, tmp_path / "student")
  said = {path.stem for path in (tmp_path / "student" / "teacher").iterdir()}
  assert len(said) == 6 and {"samm", "casme+samm"} < said
