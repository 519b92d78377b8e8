"""The artefact study: numbers with known answers, and the command on trained runs."""

import csv
import dataclasses
import json
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from configs import baselines
from infusenet_jax.artefacts import command
from infusenet_jax.artefacts.runs import Look, Run
from infusenet_jax.artefacts.scores import pointing, response, robustness
from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.schema import GRID
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training import run as train
from tests.conftest import make_clips


def _predictions(logits: np.ndarray, labels: np.ndarray | None = None) -> Predictions:
  count = len(logits)
  return Predictions(
    database=np.repeat(["casme2", "samm"], count // 2),
    subject=np.repeat("1", count),
    clip=np.array([f"c{i}" for i in range(count)]),
    fold=np.repeat(["casme2", "samm"], count // 2),
    seed=np.full(count, 45),
    logits=logits,
    labels=np.zeros((count, 12), np.uint8) if labels is None else labels,
    simulated=True,
  )


def test_false_alarms_and_changes_with_known_answers():
  rest = _predictions(np.full((4, 12), -1.0))
  logits = np.full((4, 12), -1.0)
  logits[:2, AUS.index(4)] = 2.0
  found = response(_predictions(logits), rest)
  assert found["alarms"]["aus"]["AU4"] == 50 and found["alarms"]["aus"]["AU1"] == 0
  assert found["alarms"]["mean"] == pytest.approx(50 / 12)
  assert found["alarms"]["low"] <= 50 / 12 <= found["alarms"]["high"]
  assert found["change"]["aus"]["AU4"] == found["moved"]["aus"]["AU4"] == 1.5
  # A clip that one of the sets lacks is left out, the others stay paired.
  fewer = response(_predictions(logits), rest[np.array([3, 1])])
  assert fewer["clips"] == 2 and fewer["change"]["aus"]["AU4"] == 1.5


def test_f1_against_normal_nuisance_is_paired():
  labels = np.tile(np.eye(12, dtype=np.uint8)[:4], (2, 3))[:, :12]
  right = _predictions(2.0 * labels - 1, labels)
  wrong = _predictions(1 - 2.0 * labels, labels)
  assert robustness(right, right)["binary"]["against_normal"]["mean"] == 0
  found = robustness(wrong, right)["binary"]
  assert found["mean"] == 0
  assert found["against_normal"]["mean"] == pytest.approx(
    -robustness(right, right)["binary"]["mean"]
  )


def test_pointing_is_the_mean_over_aus_of_the_mean_over_clips():
  def look(clip, au, seed, share, region=0.25):
    shares = {"feature 4": share, "magnified saliency": float("nan")}
    return Look("samm", "1", clip, seed, au, region, shares)

  looks = [look("a", 1, 45, 0.2), look("a", 1, 46, 0.4), look("b", 1, 45, 0.5)]
  looks += [look("c", 2, 45, 1.0, 0.75)]
  found = pointing(looks)
  assert found["feature 4"]["aus"] == pytest.approx({"AU1": 40, "AU2": 100})
  assert found["feature 4"]["mean"] == pytest.approx(70)
  assert found["region"]["mean"] == pytest.approx(50)
  assert found["feature 4"]["clips"] == 3
  assert "magnified saliency" not in found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """A finished run of a small network on noise, and the noise."""
  folder, clips = tmp_path_factory.mktemp("trained"), make_clips()
  config = baselines.get_config("ststnet,quickstart")
  config.image_size = 32
  config.train.update({"epochs": 1, "batch_size": 8, "checkpoint_epochs": 1})
  config.folds = "casme2,samm"
  records = train.Records(clips, {})
  train.train_and_evaluate(config, folder / "ststnet", lambda _: records)
  return folder / "ststnet", clips


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
  """A copy of the run, and sets of other noise to measure it on."""
  workdir, clips = trained
  shutil.copytree(workdir, tmp_path / "ststnet")

  def load(folder, size):
    still = folder.name.startswith("still")
    labels = 0 * clips.labels if still else clips.labels
    noise = make_clips(seed=len(folder.name)).flow
    return dataclasses.replace(clips, labels=labels, flow=noise)

  made = []

  def make(sets, wanted, source):
    made.append((wanted.name, source))
    return sets / wanted.name

  truth = np.zeros((len(clips), GRID, GRID), np.float32)
  truth[:, 20:30, 20:40] = 1
  monkeypatch.setattr(command, "make_set", make)
  monkeypatch.setattr(command, "load_clips", load)
  monkeypatch.setattr(command, "read_truth", lambda folder, clips: truth)
  return tmp_path / "ststnet", made


@pytest.mark.slow
def test_the_command_writes_tables_and_figures_and_goes_on_where_it_stopped(
  run, tmp_path, monkeypatch, capsys
):
  workdir, made = run
  capsys.readouterr()
  flags = [f"--workdirs={workdir}", f"--out={tmp_path / 'out'}"]
  command.main(flags)
  printed = capsys.readouterr().out
  names = [wanted.name for wanted in command.SETS]
  assert [name for name, _ in made] == names and len(set(names)) == 13
  assert made[0][1] == {"scale": 0.12, "seed": 0, "labels": "balanced", "size": 112}

  whole = json.loads((tmp_path / "out/artefacts.json").read_text())
  assert whole["simulated"] and "simulated data" in whole["title"]
  found = whole["results"]["ststnet"]
  assert set(found) == {"robustness", "response", "pointing"}
  assert set(found["robustness"]) == {f"nuisance-{n}" for n in range(4)}
  assert found["response"]["still-none"]["moved"]["mean"] == 0
  assert set(found["pointing"]["nuisance-1"]) == {
    *("region", "crop", "flow saliency", "flow input")
  }
  text = (tmp_path / "out/artefacts.md").read_text()
  assert text.startswith(printed.split("\nWritten")[0])
  headings = [line for line in text.splitlines() if line.startswith("#")]
  assert len(headings) > 10 and all("simulated data" in line for line in headings)
  with open(tmp_path / "out/artefacts.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  assert {row["measure"] for row in rows} == set(found)
  for name in ("pointing", "false_alarms", "robustness"):
    assert cv2.imread(str(tmp_path / f"out/{name}.png")).shape[1] > 600

  # Everything is on disk: a second study measures nothing.
  monkeypatch.setattr(command.Run, "measure", None)
  command.main(flags)
  assert capsys.readouterr().out == printed
  # Looks survive the file that they are kept in.
  again = json.loads((tmp_path / "out/artefacts.json").read_text())
  assert again["results"] == whole["results"]


def test_what_is_no_finished_run_on_simulated_data_is_refused(run, tmp_path):
  workdir, _ = run
  out = f"--out={tmp_path / 'out'}"
  with pytest.raises(UserError, match=r"absent/config\.json: cannot be read"):
    command.main([f"--workdirs={tmp_path / 'absent'}", out])
  with pytest.raises(UserError, match="two are called ststnet"):
    command.main(["--workdirs", str(workdir), str(workdir), out])
  config = json.loads((workdir / "config.json").read_text())
  config["data_dir"] = str(tmp_path / "licensed")
  (workdir / "config.json").write_text(json.dumps(config))
  with pytest.raises(UserError, match=r"licensed: the records .* are gone"):
    command.main([f"--workdirs={workdir}", out])
  folder = tmp_path / "licensed/samm/1.0.0"
  folder.mkdir(parents=True)
  (folder / "dataset_info.json").write_text("{}")
  (folder / "metadata.json").write_text(
    '{"simulated": false, "source": {}, "size": 112}'
  )
  with pytest.raises(UserError, match="not trained on simulated databases"):
    command.main([f"--workdirs={workdir}", out])
  source = {"scale": 1, "seed": 0, "labels": "balanced", "nuisance": 2.0}
  metadata = json.dumps({"simulated": True, "source": source, "size": 112})
  (folder / "metadata.json").write_text(metadata)
  with pytest.raises(UserError, match="trained at nuisance 2, expected 1"):
    command.main([f"--workdirs={workdir}", out])
  (workdir / "results.md").unlink()
  with pytest.raises(UserError, match="is not finished"):
    command.main([f"--workdirs={workdir}", out])


def test_a_config_of_another_version_is_named(run, tmp_path):
  workdir, _ = run
  config = json.loads((workdir / "config.json").read_text())
  del config["model"]["name"]
  (workdir / "config.json").write_text(json.dumps(config))
  with pytest.raises(UserError, match=r"config\.json: written by another version"):
    command.main([f"--workdirs={workdir}", f"--out={tmp_path / 'out'}"])


def test_a_fold_without_its_checkpoint_is_named(run, tmp_path):
  workdir, _ = run
  (checkpoints,) = workdir.glob("folds/seed45-samm/checkpoints")
  checkpoints.rename(checkpoints.with_name("moved"))
  with pytest.raises(UserError, match="seed45-samm/checkpoints: no checkpoint"):
    command.main([f"--workdirs={workdir}", f"--out={tmp_path / 'out'}"])


@pytest.mark.release
def test_the_study_runs_from_nothing(tiny_config, tmp_path, monkeypatch):
  few = ("nuisance-0", "nuisance-1", "still-none", "still-motion-1")
  sets = [wanted for wanted in command.SETS if wanted.name in few]
  monkeypatch.setattr(command, "SETS", sets)
  tiny_config.record_size = 32
  tiny_config.simulated.update({"dir": str(tmp_path / "simulated"), "scale": 0.001})
  tiny_config.train.epochs = 1
  train.train_and_evaluate(tiny_config, tmp_path / "infusenet")
  command.main([f"--workdirs={tmp_path / 'infusenet'}", f"--out={tmp_path / 'out'}"])
  found = json.loads((tmp_path / "out/artefacts.json").read_text())["results"]
  shown = found["infusenet"]["pointing"]["nuisance-0"]
  assert {"feature 4", "magnified saliency", "flow saliency"} <= set(shown)
  assert shown["flow input"]["mean"] > shown["region"]["mean"]
  page = (tmp_path / "infusenet/report.html").read_text()
  assert "gate 4, up to" in page and "magnified saliency, up to" in page


def test_test_sets_lose_the_heads_motion_where_the_training_set_did(
  monkeypatch, tmp_path
):
  config = baselines.get_config("sssnet,quickstart")
  run = SimpleNamespace(config=config, workdir=tmp_path)
  asked = []
  monkeypatch.setattr(
    command,
    "simulated_records",
    lambda *given, head, offset: asked.append((head, offset)),
  )
  sources = []
  for head in ("kept", "removed"):
    config.simulated.head = head
    sources.append(Run.trained_on(run))
    command.make_set(tmp_path, command.SETS[0], sources[-1])
  assert asked == [("kept", False), ("removed", False)]
  command.make_set(tmp_path, command.SETS[0], sources[0] | {"offset": True})
  assert asked[-1] == ("kept", True)
  assert sources[1] == sources[0] | {"head": "removed"}
