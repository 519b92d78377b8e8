"""Protocol "all": networks for use, trained on every clip, tested on none."""

import json
import os
import signal

import numpy as np
import pytest

from configs import published
from configs import study as studies
from infusenet_jax import main
from infusenet_jax.evaluate.predictions import read_predictions
from infusenet_jax.runtime.errors import Preempted, UserError
from infusenet_jax.training import run, study, svm
from infusenet_jax.training.engine.network import Network


@pytest.fixture
def config(tiny_config):
  tiny_config.protocol = "all"
  tiny_config.folds = "all"
  tiny_config.model.name = "ststnet"  # Compiled in no time.
  return tiny_config


def test_a_run_stopped_half_way_goes_on_and_trains_on_every_clip(
  config, clips, train, tmp_path, monkeypatch
):
  steps, made = [], run.build_network

  def build(config, mesh, **_):
    network = made(config, mesh)

    def step(state, batch):
      steps.append(1)
      if len(steps) == 5:
        os.kill(os.getpid(), signal.SIGTERM)
      return network.train_steps(state, batch)

    return Network(**vars(network) | {"train_steps": step})

  monkeypatch.setattr(run, "build_network", build)
  with pytest.raises(Preempted):
    train(config, tmp_path)
  assert not (tmp_path / "results.md").exists()
  text = train(config, tmp_path).text()
  # 30 clips make 4 batches of 8, in 2 epochs.
  assert len(steps) == 8
  folder = tmp_path / "folds" / "seed45-all" / "checkpoints"
  assert f"Weights: {folder}" in text and folder.is_dir()
  assert "ststnet" not in text and "quickstart (simulated data)" in text
  assert "all 30 clips of CASME, CASME II" in text and "nothing was tested" in text

  again = train(config, tmp_path)
  assert again.text() == text and len(steps) == 8
  results = json.loads((tmp_path / "results.json").read_text())
  assert results["simulated"] and results["tested"] is False
  assert sum(results["clips"].values()) == 30 and results["versions"]["jax"]
  page = (tmp_path / "results.md").read_text()
  assert all("simulated data" in x for x in page.splitlines() if x.startswith("#"))
  assert not (tmp_path / "report.html").exists()
  assert not (tmp_path / "predictions.csv").exists()
  with pytest.raises(UserError, match="holds no predictions"):
    read_predictions([tmp_path / "folds" / "seed45-all" / "predictions.csv"])


def test_the_command_prints_where_the_weights_are(config, train, tmp_path, monkeypatch):
  monkeypatch.setattr(main, "train_and_evaluate", train)
  assert "seed45-all" in main._train(config, tmp_path)


@pytest.mark.parametrize(
  "fields, message",
  [
    ({"folds": "casme2"}, r"config\.folds is 'casme2', but config\.protocol='all'"),
    ({"train": {"epochs": 0}}, r"train\.epochs is 0, but config\.protocol='all'"),
  ],
)
def test_what_needs_something_left_out_is_refused(
  config, train, tmp_path, fields, message
):
  config.model.update({"name": "infusenet", "weights": "infusenet.pth"})
  config.update(fields)
  with pytest.raises(UserError, match=message):
    train(config, tmp_path)


def test_a_study_and_machines_need_something_left_out(tmp_path):
  config = studies.get_config("models")
  config.protocol = "all"
  with pytest.raises(UserError, match="a study has nothing to compare"):
    study.run(config, tmp_path)
  config = published.get_config("svm")
  config.protocol = "all"
  with pytest.raises(UserError, match="machines are not kept"):
    svm.check_config(config)


def test_the_time_needed_counts_every_clip(config, tmp_path, monkeypatch, caplog):
  caplog.set_level("INFO", "infusenet_jax")
  monkeypatch.setattr(run, "clips_expected", lambda _: {"casme": 20, "samm": 13})
  network = type("N", (), {"mesh": type("M", (), {"shape": {"fold": 1}})})
  run.say_time_needed(config, network, tmp_path)
  assert f"{np.ceil(33 / 8) * 2:.0f} steps still to train" in caplog.text
