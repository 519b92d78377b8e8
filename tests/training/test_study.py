"""Studies of two cheap variants on noise."""

import csv
import json
import os
import signal

import pytest

from configs import study as studies
from infusenet_jax.runtime.errors import Preempted, UserError
from infusenet_jax.training import run, study
from infusenet_jax.training.engine.config import check_config
from infusenet_jax.training.engine.network import Network
from tests.conftest import make_clips

FIRST, SECOND = "ststnet", "off_apexnet"


@pytest.fixture
def config():
  config = studies.get_config("models")
  config.image_size, config.model.width = 32, 4
  config.train.update({"epochs": 1, "batch_size": 8})
  config.folds = "casme2"
  config.seeds = (45, 46)
  config.study.reference = SECOND
  rows = (("STSTNet", FIRST), ("ours", SECOND))
  config.study.tables = (("All", rows), ("Again", rows[1:]))
  return config


@pytest.fixture
def trained(monkeypatch):
  """The variant of every step that is made; SIGTERM comes in step `trained.stop`."""
  steps = Steps()
  build = run.build_network

  def counting(config, mesh, **_):
    network = build(config, mesh)

    def step(state, batch):
      steps.append(config.name)
      if len(steps) == steps.stop:
        os.kill(os.getpid(), signal.SIGTERM)
      return network.train_steps(state, batch)

    return Network(**vars(network) | {"train_steps": step})

  monkeypatch.setattr(run, "build_network", counting)
  records = run.Records(make_clips(), {"casme2": "a"})
  monkeypatch.setattr(study, "load_records", lambda config: records)
  return steps


class Steps(list):
  stop = 0


@pytest.mark.slow
def test_a_study_runs_what_is_missing_and_tabulates_what_is_finished(
  config, trained, tmp_path, caplog
):
  caplog.set_level("INFO", "infusenet_jax")
  config.only = FIRST
  printed = study.run(config, tmp_path)
  assert set(trained) == {FIRST} and len(trained) == 2 * 4
  assert printed.startswith("# Study: models (simulated data)")
  assert "STSTNet" in printed and "ours" not in printed and "Again" not in printed
  assert f"not in the tables: {SECOND}" in caplog.text

  # Preempted in the second variant: what the first has is kept.
  config.only = ""
  trained.stop = len(trained) + 3
  with pytest.raises(Preempted):
    study.run(config, tmp_path)
  printed = study.run(config, tmp_path)
  assert trained.count(FIRST) == trained.count(SECOND) == 2 * 4
  assert printed.count("ours") == 4 and printed.count("Database table") == 0
  assert f"{SECOND} (2 of 2): done in" in caplog.text

  results = json.loads((tmp_path / "models.json").read_text())
  assert results["simulated"] and results["seeds"] == [45, 46]
  assert results["versions"]["jax"] and results["config"]["study"]["name"] == "models"
  for name in (FIRST, SECOND):
    own = json.loads((tmp_path / name / "results.json").read_text())
    for kind in ("binary", "macro"):
      for table in ("au", "database"):
        expected = own[f"{table}_table"][kind]["Average"]
        found = results["variants"][name][table][kind]
        assert {k: found[k] for k in ("mean", "std", "low", "high")} == {
          k: expected[k] for k in ("mean", "std", "low", "high")
        }
  ours, theirs = (results["variants"][name]["au"]["binary"] for name in (SECOND, FIRST))
  assert "difference" not in ours
  assert theirs["difference"] == pytest.approx(theirs["mean"] - ours["mean"], abs=1e-3)
  assert theirs["difference_low"] <= theirs["difference"] <= theirs["difference_high"]
  with (tmp_path / "models.csv").open() as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 3 * 2 * 2
  assert all("simulated data" in row["title"] for row in rows)
  text = (tmp_path / "models.md").read_text()
  assert text.startswith(printed)
  assert all("simulated data" in line for line in text.splitlines() if line[:1] == "#")


@pytest.mark.slow
def test_a_run_of_another_config_is_left_out_of_the_tables(
  config, trained, tmp_path, caplog
):
  config.only = FIRST
  config.study.tables = (("All", (("STSTNet", FIRST), ("again", "sssnet"))),)
  study.run(config, tmp_path)
  config.study.variants["sssnet"] = {"model": {"name": "ststnet"}}
  (tmp_path / FIRST).rename(tmp_path / "sssnet")
  assert "again" not in study.run(config, tmp_path)
  assert "holds a run of another config: left out" in caplog.text


def test_an_unknown_variant_is_one_line_that_lists_them(config, tmp_path):
  config.only = "ststnet,resnet50"
  with pytest.raises(UserError, match=r"only names 'resnet50'.*ststnet, off_apexnet"):
    study.run(config, tmp_path)
  with pytest.raises(UserError, match=r"study:all: expected one of models, abl"):
    studies.get_config("all")


def test_an_override_of_a_field_that_there_is_not_is_refused(config, tmp_path):
  config.study.variants[FIRST] = {"model": {"nmae": "ststnet"}}
  with pytest.raises(UserError, match=f"{FIRST} does not fit the config.*nmae"):
    study.run(config, tmp_path)


@pytest.mark.parametrize("name", studies.STUDIES)
def test_every_variant_is_a_config_that_can_run_and_is_in_a_table(name):
  config = studies.get_config(name)
  variants = study.every_variant(config)
  assert set(variants) == set(config.study.variants)
  texts = set()
  for variant in variants:
    own = study.variant_config(config, variant)
    check_config(own)
    own.name = ""
    texts.add(own.to_json_best_effort())
  assert len(texts) == len(variants)  # No run is trained twice.
  if name == "rates":
    assert config.simulated.seed != studies.get_config("models").simulated.seed


def test_studies_share_the_runs_that_both_need():
  first, second = (studies.get_config(name) for name in ("models", "ablations"))
  shared = set(first.study.variants) & set(second.study.variants)
  assert "infusenet-unitary" in shared
  for name in shared:
    configs = [study.variant_config(config, name) for config in (first, second)]
    assert configs[0].to_json_best_effort() == configs[1].to_json_best_effort()
