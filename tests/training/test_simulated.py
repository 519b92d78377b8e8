"""Simulated databases where there are none: what their makers leave is looked at."""

import argparse

import pytest

from configs import cd6me_simulated, quickstart
from data_prep.simulator.command import add_arguments, difficulty_of
from data_prep.simulator.writer import Parameters
from infusenet_jax.clips.labels import CLIPS
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training import simulated


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
