"""Simulated databases where there are none: what their makers leave is looked at."""

import pytest

from configs import quickstart
from infusenet_jax import stand_in
from infusenet_jax.errors import UserError


def test_databases_that_a_build_did_not_get_to_are_named(tmp_path, monkeypatch):
  config = quickstart.get_config()
  config.simulated.dir = str(tmp_path)
  monkeypatch.setattr(stand_in, "_data_prep", lambda folder, *line: None)
  for key in ("casme", "casme2", "samm", "mmew"):
    folder = stand_in.records_folder(config) / key / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
  with pytest.raises(UserError, match=r"records-112: no records of casme3a, fourd,"):
    stand_in.make_records(config)
