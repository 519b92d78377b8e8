"""Simulated databases where there are none: what their makers leave is looked at."""

import argparse

import pytest

from configs import cd6me_best, cd6me_simulated, distill, published, quickstart, study
from data_prep.simulator.command import add_arguments, difficulty_of
from data_prep.simulator.writer import Parameters
from infusenet_jax.clips.labels import CLIPS
from infusenet_jax.runtime.configs import load_config
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training import simulated
from infusenet_jax.training.engine.config import check_config


def test_databases_that_a_build_did_not_get_to_are_named(tmp_path, monkeypatch):
  config = quickstart.get_config()
  config.simulated.dir = str(tmp_path)
  monkeypatch.setattr(simulated, "_data_prep", lambda folder, *line: None)
  for key in ("casme", "casme2", "samm", "mmew"):
    folder = simulated.records_folder(config) / key / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
  with pytest.raises(UserError, match=r"records-112: no records of casme3a, fourd,"):
    simulated.make_records(config)


def test_a_harder_simulation_is_asked_for_by_its_flags(monkeypatch):
  lines = []
  monkeypatch.setattr(simulated, "_data_prep", lambda folder, *line: lines.append(line))
  monkeypatch.setattr(simulated, "prepared_databases", lambda folder: CLIPS)
  config = cd6me_simulated.get_config("sssnet")
  simulated.make_records(config)
  flags = simulated.difficulty_flags(config.simulated)
  assert [flag.split("=")[0] for flag in flags] == [
    *("--strength", "--doubtful", "--missed", "--coders", "--unlike")
  ]
  assert set(flags) < set(lines[0])
  # Records tell of their source in another form.
  read = argparse.ArgumentParser()
  add_arguments(read)
  source = Parameters(
    difficulty=difficulty_of(read.parse_args(["--out=x", *flags]))
  ).as_json()
  assert simulated.difficulty_flags(source) == flags
  assert simulated.difficulty_flags(quickstart.get_config().simulated) == []
  assert simulated.difficulty_flags(Parameters().as_json()) == []


def test_off_apexnet_has_the_stream_and_the_share_of_epochs_of_its_published_row():
  _, row, train = published.ROWS["off_apexnet"]
  others = published.ROWS["sssnet"][2]["epochs"]
  config = cd6me_simulated.get_config("off_apexnet,choose")
  assert config.model.streams == row["streams"] == 1
  share = config.train.epochs / cd6me_simulated.get_config("sssnet").train.epochs
  assert share == train["epochs"] / others == 15
  variant = study.get_config("reference").study.variants["off_apexnet"]
  assert variant.model.streams == 1 and variant.train.epochs == config.train.epochs
  # The study on easier databases gives all networks the same epochs.
  assert "train" not in study.get_config("models").study.variants["off_apexnet"]


def test_the_best_recipe_is_one_at_every_scale_and_in_the_study_of_losses():
  best, simulation = (
    config.get_config(which)
    for config, which in (
      (cd6me_best, "simulated,choose"),
      (cd6me_simulated, "infusenet,choose"),
    )
  )
  losses = study.get_config("losses")
  studied = losses.study.variants["infusenet-best-logit_adjusted-fitted"]
  for config in (best, cd6me_best.get_config()):
    check_config(config)
    assert config.train.loss == studied.train.loss == "logit_adjusted"
    assert config.decide_at == studied.decide_at == "fitted"
    assert set(studied.model.items()) < set(config.model.items())
    assert config.simulated.offset and studied.simulated.offset
  # But for what it changes, it is the simulation's; and its student has no frames.
  best.update({"name": simulation.name, "model": simulation.model})
  best.simulated.offset, best.train.loss = False, simulation.train.loss
  best.decide_at = simulation.decide_at
  assert best.to_dict() == simulation.to_dict()
  student = distill.get_config("cd6me_best,simulated,choose")
  check_config(student)
  assert student.simulated.offset and student.train.loss == "logit_adjusted"
  assert (student.model.detached, student.model.reference) == (False, "")
  for name in ("cd6me_best:choose", "distill:quickstart,simulated", "distill:best"):
    with pytest.raises(UserError, match=f"--config={name}: expected one of"):
      load_config(name)


def test_records_without_the_heads_motion_lie_beside_the_others(monkeypatch):
  lines = []
  monkeypatch.setattr(simulated, "_data_prep", lambda folder, *line: lines.append(line))
  monkeypatch.setattr(simulated, "prepared_databases", lambda folder: CLIPS)
  folders = []
  for head in ("kept", "removed"):
    config = quickstart.get_config()
    config.simulated.head = head
    check_config(config)
    simulated.make_records(config)
    folders.append(simulated.records_folder(config))
    assert {f"--head={head}", f"--out={folders[-1]}"} < set(lines[-1])
  assert [folder.name for folder in folders] == [
    *("records-112", "records-112-head-removed")
  ]
  assert lines[0] == lines[2]  # Of the same databases.
  config.simulated.update({"head": "kept", "offset": True})
  check_config(config)
  simulated.make_records(config)
  assert simulated.records_folder(config).name == "records-112-offset"
  assert "--offset" in lines[-1] and not any("--offset" in line for line in lines[:-1])
  assert lines[0] == lines[-2]  # Of the same databases, too.
  del config.simulated.offset
  del config.simulated.head  # As in configs from before there was a choice.
  assert simulated.records_folder(config) == folders[0]
  config.simulated.head = "held"
  expected = "config.simulated.head is 'held'; expected one of kept, removed"
  with pytest.raises(UserError, match=expected):
    check_config(config)
