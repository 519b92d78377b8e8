"""Runs that decide at fitted thresholds: where those come from, and who obeys them."""

import dataclasses
import os
import signal

import jax
import numpy as np
import pytest

from infusenet_jax.evaluate.__main__ import compare_runs
from infusenet_jax.evaluate.predictions import read_predictions
from infusenet_jax.evaluate.protocol import Fold
from infusenet_jax.evaluate.thresholds import fit_thresholds, thresholds_of
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import Preempted, UserError
from infusenet_jax.runtime.run_files import fold_files, fold_folder
from infusenet_jax.training import run
from infusenet_jax.training.engine.config import check_config
from infusenet_jax.training.engine.experiment import make_experiment
from infusenet_jax.training.engine.network import Network
from infusenet_jax.training.trained import open_run, restore
from tests.conftest import make_clips
from tests.training.conftest import compiled_network, make_run_config, start


def make_config():
  config = make_run_config()
  config.folds, config.decide_at, config.train.epochs = "samm", "fitted", 1
  return config


@pytest.fixture(scope="module")
def fitted(networks_compiled_once, tmp_path_factory):
  """A run that fits thresholds for its one fold; not to be changed."""
  return start(make_config(), tmp_path_factory.mktemp("fitted") / "run", make_clips())


def pair_files(workdir):
  return sorted(workdir.glob("pairs/*/predictions.csv"))


def test_thresholds_are_those_of_the_other_databases_and_logits_are_shifted(
  fitted, tmp_path
):
  folder = fold_folder(fitted.workdir, 45, "samm")
  pairs = pair_files(fitted.workdir)
  assert len(pairs) == 5 and len(fold_files(fitted.workdir, "predictions.csv")) == 1
  at = thresholds_of(folder)
  np.testing.assert_array_equal(at, fit_thresholds(read_predictions(pairs), "samm"))
  assert (at != 0).any()
  config = make_config()
  config.decide_at = "0"
  plain = start(config, tmp_path / "plain", make_clips()).predictions
  # The file of the plain run rounds its logits to float32.
  logits = fitted.predictions.logits
  np.testing.assert_allclose(logits, plain.logits - at, rtol=0, atol=1e-6)
  assert ((logits > 0) != (plain.logits > 0)).any()


def test_tables_say_that_thresholds_were_fitted(fitted, tmp_path, capsys):
  said = "decided at thresholds fitted in training databases"
  text = fitted.text()
  assert said in text.splitlines()[0] and "predictions.csv, thresholds.csv" in text
  for name in ("results.md", "au_table.csv", "results.json", "report.html"):
    assert said in (fitted.workdir / name).read_text()
  heading, row = (fitted.workdir / "thresholds.csv").read_text().splitlines()
  assert said in row and "simulated data" in row and "threshold_AU17" in heading
  config = make_config()
  config.decide_at = "0"
  start(config, tmp_path / "plain", make_clips())
  compare_runs([tmp_path / "plain", fitted.workdir], None, False)
  assert f"* {said}, not at 0: run\n" in capsys.readouterr().out


@pytest.mark.slow
def test_labels_of_the_database_that_is_tested_change_no_threshold(fitted, tmp_path):
  clips = make_clips()
  other = dataclasses.replace(clips, labels=clips.labels.copy())
  other.labels[clips.database == "samm"] ^= 1
  found = start(make_config(), tmp_path, other)
  folders = [fold_folder(x.workdir, 45, "samm") for x in (found, fitted)]
  np.testing.assert_array_equal(*map(thresholds_of, folders))
  np.testing.assert_array_equal(found.predictions.logits, fitted.predictions.logits)
  assert (found.predictions.labels != fitted.predictions.labels).all()


@pytest.mark.slow
def test_a_run_that_is_stopped_among_the_pairs_ends_like_one_that_was_not(
  fitted, tmp_path, monkeypatch
):
  steps = []

  def build(config, mesh, **_):
    network = compiled_network(config, mesh)

    def step(*arguments):
      steps.append(1)
      if len(steps) in (2, 18):  # In the first pair, and in the fold itself.
        os.kill(os.getpid(), signal.SIGTERM)
      return network.train_steps(*arguments)

    return Network(**vars(network) | {"train_steps": step})

  monkeypatch.setattr(run, "build_network", build)
  for _ in range(2):
    with pytest.raises(Preempted):
      start(make_config(), tmp_path / "run", make_clips())
  start(make_config(), tmp_path / "run", make_clips())
  # Five pairs of 20 clips and a fold of 25, in batches of 8.
  assert len(steps) == 5 * 3 + 4
  for name in ("predictions.csv", "thresholds.csv", "au_table.csv"):
    expected = (fitted.workdir / name).read_bytes()
    assert (tmp_path / "run" / name).read_bytes() == expected


def test_a_network_that_is_opened_again_decides_at_its_thresholds(fitted):
  config, clips = make_config(), make_clips()
  network = compiled_network(config, device_mesh(config.train.batch_size))
  experiment = make_experiment(config, network, clips)
  like = experiment.initial_state(45)
  (state,) = open_run(fitted.workdir).states(network)
  samm = clips.database == "samm"
  logits = experiment.predict(state, Fold("samm", ~samm, samm))
  np.testing.assert_allclose(logits, fitted.predictions.logits, rtol=1e-5, atol=1e-5)
  # Those of a pair have none, and nothing but a bias differs.
  pair = restore(fitted.workdir, 45, "casme+samm", like)
  both = samm | (clips.database == "casme")
  path = fold_folder(fitted.workdir, 45, "casme+samm") / "predictions.csv"
  found = read_predictions([path])
  assert set(found.fold) == {"casme+samm"} and path in pair_files(fitted.workdir)
  logits = experiment.predict(pair, Fold("casme+samm", ~both, both))
  np.testing.assert_allclose(logits, found.logits, rtol=1e-5, atol=1e-5)
  assert jax.tree.structure(pair) == jax.tree.structure(state)


@pytest.mark.parametrize(
  "changes, message",
  [
    ({"protocol": "loso"}, "leave two databases out, but config.protocol is 'loso'"),
    ({"protocol": "all", "folds": "all"}, "config.protocol is 'all'"),
    ({"decide_at": "0.5"}, "config.decide_at is '0.5'; expected one of 0, fitted"),
  ],
)
def test_runs_that_cannot_fit_thresholds_are_refused(changes, message):
  config = make_config()
  config.update(changes)
  with pytest.raises(UserError, match=message):
    check_config(config)


def test_two_databases_are_too_few(tmp_path):
  clips = make_clips()
  two = np.isin(clips.database, ["samm", "casme"])
  arrays = {k: x[two] for k, x in vars(clips).items() if isinstance(x, np.ndarray)}
  with pytest.raises(UserError, match="prepare at least three"):
    start(make_config(), tmp_path, dataclasses.replace(clips, **arrays))
