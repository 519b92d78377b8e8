"""A run's networks on other records: who may predict what, and what tables then say."""

import dataclasses
import json

import numpy as np
import pytest

from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.evaluate.predictions import read_predictions
from infusenet_jax.predict import other_records as module
from infusenet_jax.predict.other_records import predict_clips, predict_records
from infusenet_jax.predict.weights.networks import load_run
from infusenet_jax.runtime.errors import UserError
from tests.conftest import make_clips
from tests.predict.runs import small_config, train


@pytest.fixture(scope="module")
def six(tmp_path_factory):
  return train(small_config(seeds=(45, 46)), tmp_path_factory.mktemp("six") / "six")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  return train(small_config(protocol="all"), tmp_path_factory.mktemp("all") / "whole")


@pytest.fixture
def records(tmp_path, monkeypatch):
  """Makes a folder of records, of which `load_clips` reads clips of noise."""

  def make(databases=("samm", "mine"), simulated=True, **metadata):
    folder = tmp_path / "records"
    for key in databases:
      place = folder / key / "1.0.0"
      place.mkdir(parents=True)
      (place / "dataset_info.json").write_text("{}")
      about = {"simulated": simulated, "flow": "infusenet", "strain": "textbook"}
      (place / "metadata.json").write_text(json.dumps(about | metadata))

    def load(data_dir, size, chosen):
      clips = make_clips(4 * len(chosen), size, seed=1)
      database = np.repeat(chosen, 4)
      return dataclasses.replace(clips, database=database, simulated=simulated)

    monkeypatch.setattr(module, "load_clips", load)
    return folder

  return make


def test_each_database_is_predicted_by_those_that_never_saw_it(six, records, tmp_path):
  folder = records()
  text = predict_records(six, folder, tmp_path / "out")
  assert "six on records, trained on simulated faces (simulated data)" in text
  found = read_predictions([tmp_path / "out" / "predictions.csv"])
  assert (found.fold == found.database).all() and found.simulated
  assert sorted(set(found.seed)) == [45, 46] and len(found) == 16

  networks, clips = load_run(six), make_clips(8, 32, seed=1)
  for seed in (45, 46):
    mine = [i for i, (s, _) in enumerate(networks.members) if s == seed]
    (left_out,) = [i for i in mine if networks.members[i][1] == "samm"]
    for key, members in (("samm", [left_out]), ("mine", mine)):
      rows = slice(0, 4) if key == "samm" else slice(4, 8)
      expected = networks.logits({"flow": clips.flow[rows]}, members)
      said = found[(found.database == key) & (found.seed == seed)]
      np.testing.assert_allclose(said.logits, expected, atol=1e-6)
  for name in ("results.json", "results.md", "report.html", "au_table.csv"):
    assert (tmp_path / "out" / name).stat().st_size


def test_real_clips_of_a_database_are_new_to_networks_of_simulated_ones(
  whole, records, tmp_path
):
  text = predict_records(whole, records(["samm"], simulated=False), tmp_path / "out")
  title = text.splitlines()[0]
  assert "trained on simulated faces, on real clips of records" in title
  assert "not for conclusions (SAMM" in title
  assert not read_predictions([tmp_path / "out" / "predictions.csv"]).simulated
  for name in ("results.md", "report.html", "au_table.csv", "results.json"):
    content = (tmp_path / "out" / name).read_text()
    assert "trained on simulated faces, on real clips" in content


def test_a_run_of_both_kinds_may_have_seen_the_real_clips(
  whole, records, tmp_path, monkeypatch
):
  networks = load_run(whole)
  made = dataclasses.replace(networks.made, one_kind=False)
  networks = dataclasses.replace(networks, made=made)
  monkeypatch.setattr(module, "load_run", lambda _: networks)
  with pytest.raises(UserError, match="clips of SAMM, which all networks"):
    predict_records(whole, records(["samm"], simulated=False), tmp_path / "out")


def test_the_other_way_round_says_so_too(six, records, tmp_path, monkeypatch):
  networks = load_run(six)
  networks.card["simulated"] = False
  monkeypatch.setattr(module, "load_run", lambda _: networks)
  title = predict_records(six, records(["samm"]), tmp_path / "out").splitlines()[0]
  assert "trained on licensed clips, on simulated clips" in title
  assert title.endswith("(simulated data)")


def test_databases_that_all_networks_saw_are_refused(six, whole, records, tmp_path):
  folder = records(["samm", "mine"])
  with pytest.raises(
    UserError, match=r"SAMM, which all networks of whole .*--databases mine"
  ):
    predict_records(whole, folder, tmp_path / "out")
  assert not (tmp_path / "out").exists()
  text = predict_records(whole, folder, tmp_path / "out", ["mine"])
  assert "SAMM" not in text


def test_a_run_of_some_folds_refuses_the_other_databases(records, tmp_path):
  run = train(small_config(folds="casme2"), tmp_path / "some")
  with pytest.raises(UserError, match="clips of SAMM, which all networks"):
    predict_records(run, records(["casme2", "samm"]), tmp_path / "out")


def test_subjects_are_predicted_by_the_folds_that_left_them_out(whole, tmp_path):
  networks = load_run(whole)
  config = networks.config.copy_and_resolve_references()
  config.protocol = "loso"
  members = ((45, "samm/s0"), (45, "samm/s1"), (46, "samm/s0"), (46, "samm/s1"))
  card = networks.card | {"databases": ["SAMM"]}
  weights = networks.weights * 4
  networks = dataclasses.replace(
    networks, config=config, members=members, card=card, weights=weights
  )
  clips = make_clips(12)  # s0 and s1, two clips of each database.
  kinds = dict.fromkeys(DATABASES, True)
  found = {group.fold: group for group in module.who_predicts(networks, clips, kinds)}
  assert found["samm/s0"].members == (0, 2) and found["samm/s1"].members == (1, 3)
  assert found["casme"].members == (0, 1, 2, 3)
  assert predict_clips(networks, clips, kinds).fold.tolist().count("samm/s0") == 2
  clips = dataclasses.replace(clips, subject=np.full(12, "s7"))
  with pytest.raises(UserError, match=r"has no fold samm/s7, .* trained on SAMM"):
    module.who_predicts(networks, clips, kinds)


def test_where_nothing_can_be_written_or_read_is_one_line(six, records, tmp_path):
  folder = records()
  with pytest.raises(UserError, match="is the run's own folder"):
    predict_records(six, folder, six / ".." / "six")
  with pytest.raises(UserError, match="no records of casme; found samm, mine"):
    predict_records(six, folder, tmp_path / "out", ["casme"])
  with pytest.raises(UserError, match="no prepared records found"):
    predict_records(six, tmp_path / "absent", tmp_path / "out")
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match="cannot be written"):
    predict_records(six, folder, tmp_path / "file" / "out")


def test_flow_of_another_kind_gets_a_line(six, records, tmp_path, caplog):
  made = {"flow": "tvl1", "head": "removed"}
  predict_records(six, records(["samm"], **made), tmp_path / "out")
  assert (
    "are tvl1, textbook and removed, but the networks were trained on" in caplog.text
  )
