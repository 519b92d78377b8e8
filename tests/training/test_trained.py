"""Finished runs, opened again, and what is said of all others."""

import json
import shutil

import pytest

from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training import trained
from infusenet_jax.training.trained import Made, open_run, records_made
from tests.conftest import make_tiny_config
from tests.predict.runs import small_config, train


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  return train(small_config(), tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def copied(whole, tmp_path):
  return shutil.copytree(whole, tmp_path / "run")


def edit(path, **fields):
  path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_run_says_what_it_holds_and_what_it_was_trained_on(whole):
  run = open_run(whole)
  assert run.name == "run" and run.simulated and len(run.predictions) == 30
  assert sorted(run.members) == sorted((45, key) for key in DATABASES)
  assert run.databases == tuple(DATABASES)


def test_a_run_of_protocol_all_holds_a_network_for_each_seed(tmp_path):
  config = small_config(protocol="all", seeds=(45, 46))
  run = open_run(train(config, tmp_path / "run"))
  assert run.members == ((45, "all"), (46, "all")) and run.predictions is None
  assert run.databases == tuple(DATABASES) and run.simulated


@pytest.mark.slow
def test_leaving_one_subject_out_trains_on_the_databases_of_its_folds_alone(tmp_path):
  config = small_config(protocol="loso", folds="samm")
  run = open_run(train(config, tmp_path / "run"))
  assert run.databases == ("samm",)
  assert {fold.split("/")[0] for _, fold in run.members} == {"samm"}


def test_what_is_no_finished_run_of_networks_is_refused_in_one_line(copied, tmp_path):
  with pytest.raises(UserError, match=r"absent/config\.json.*--run takes a workdir"):
    open_run(tmp_path / "absent")
  (copied / "results.md").unlink()
  with pytest.raises(UserError, match=r"not finished \(missing: results\.md alone\)"):
    open_run(copied)
  for key in ("samm", "mmew"):
    (copied / "folds" / f"seed45-{key}" / "predictions.csv").unlink()
  with pytest.raises(UserError, match="missing: samm of seed 45, mmew of seed 45"):
    open_run(copied)
  edit(copied / "config.json", protocol="loso")
  with pytest.raises(UserError, match="4 of its folds are there"):
    open_run(copied)
  edit(copied / "config.json", task="svm")
  with pytest.raises(
    UserError, match=r"config\.task is 'svm', which keeps no networks"
  ):
    open_run(copied)


def test_a_run_that_tested_weights_from_a_file_has_them_again(whole, monkeypatch):
  run = open_run(whole)
  drawn = []
  monkeypatch.setattr(
    trained, "initial_state", lambda config, network, seed: drawn.append(seed) or seed
  )
  run.config.train.epochs = 0
  assert list(run.states(None)) == drawn == [45] * 6


def test_how_records_were_made_is_found_where_they_are(tmp_path):
  config = make_tiny_config()
  assert records_made(config) == Made(112, "infusenet", "textbook")
  config.simulated.head = "removed"
  assert records_made(config) == Made(112, head="removed")
  del config.simulated.head  # As in configs from before there was a choice.
  assert records_made(config) == Made(112)
  config.data_dir = str(tmp_path)
  assert records_made(config) == Made(32, one_kind=False)
  folder = tmp_path / "samm" / "1.0.0"
  folder.mkdir(parents=True)
  (folder / "dataset_info.json").write_text("{}")
  metadata = {"simulated": False, "size": 96, "flow": "tvl1", "strain": "benchmark"}
  (folder / "metadata.json").write_text(json.dumps(metadata))
  assert records_made(config) == Made(96, "tvl1", "benchmark")
  metadata["head"] = "removed"
  (folder / "metadata.json").write_text(json.dumps(metadata))
  assert records_made(config) == Made(96, "tvl1", "benchmark", "removed")
  other = tmp_path / "mmew" / "1.0.0"
  other.mkdir(parents=True)
  (other / "dataset_info.json").write_text("{}")
  (other / "metadata.json").write_text(json.dumps(metadata | {"simulated": True}))
  assert not records_made(config).one_kind
  (folder / "metadata.json").write_text("junk")
  assert records_made(config) == Made(32, one_kind=False)
