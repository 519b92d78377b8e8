"""Simulated databases -> records -> training -> tables, with nothing patched."""

import json

import pytest
from ml_collections import ConfigDict

from configs import baselines
from infusenet_jax.clips.prepared import prepared_databases
from infusenet_jax.clips.records import load_clips
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.run import train_and_evaluate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> str:
  return str(tmp_path_factory.mktemp("simulated"))


def shrink(config: ConfigDict, simulated: str) -> ConfigDict:
  config.record_size = config.image_size = 32
  config.simulated.update({"dir": simulated, "scale": 0.02})
  config.train.update({"epochs": 1, "batch_size": 8})
  config.folds = "casme2"
  return config


def test_a_baseline_runs_from_nothing_to_tables(simulated, tmp_path):
  config = shrink(baselines.get_config("off_apexnet,quickstart"), simulated)
  text = train_and_evaluate(config, tmp_path).text()
  assert "Database table (simulated data)" in text
  results = json.loads((tmp_path / "results.json").read_text())
  assert "off_apexnet" in results["title"] and results["simulated"]
  assert (tmp_path / "report.html").stat().st_size > 10_000


def test_records_cut_short_are_refused_by_name(tiny_config, simulated):
  shrink(tiny_config, simulated)
  folder = next(iter(prepared_databases(f"{simulated}/records-32").values()))
  (records,) = folder.glob("*.array_record*")
  whole = records.read_bytes()
  records.write_bytes(whole[: len(whole) // 2])
  with pytest.raises(UserError, match=r"cannot be read.*data_prep build"):
    load_clips(folder.parents[1], 32)
  records.write_bytes(whole)
