"""Simulated databases where there are none: what their makers leave is looked at."""

import pytest

from configs import quickstart
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
