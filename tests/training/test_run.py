"""Whole runs on noise: tables, resuming, and what is refused."""

import json
import logging
import os
import re
import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from configs import cd6me
from infusenet_jax.evaluate.predictions import read_predictions
from infusenet_jax.runtime.errors import Preempted, UserError
from infusenet_jax.runtime.text import duration
from infusenet_jax.runtime.workdir import claim, keep_config, log_printed
from infusenet_jax.training import run
from infusenet_jax.training.engine.experiment import Experiment
from infusenet_jax.training.engine.network import Network
from tests.training.kill import last_checkpoint


def outcome(workdir) -> dict[str, bytes]:
  files = ["predictions.csv", "au_table.csv", "database_table.csv"]
  losses = [str(p.relative_to(workdir)) for p in workdir.glob("folds/*/losses.csv")]
  return {name: (workdir / name).read_bytes() for name in [*files, *sorted(losses)]}


@pytest.mark.slow
def test_a_run_preempted_at_any_step_ends_like_one_that_was_not(
  run_config, train, finished, tmp_path, monkeypatch
):
  printed = finished.text()
  assert "simulated data" in printed and "Database table" in printed

  steps, made = [], run.build_network

  def build(config, mesh, **_):
    network = made(config, mesh)

    def step(state, batch):
      steps.append(1)
      if len(steps) in (2, 12):  # The second ends an epoch, of the other fold.
        os.kill(os.getpid(), signal.SIGTERM)
      return network.train_steps(state, batch)

    return Network(**vars(network) | {"train_steps": step})

  monkeypatch.setattr(run, "build_network", build)
  for _ in range(2):
    with pytest.raises(Preempted, match="run the same command again"):
      train(run_config, tmp_path / "parts")
  train(run_config, tmp_path / "parts")
  assert len(steps) == 2 * 2 * 4
  assert outcome(tmp_path / "parts") == outcome(finished.workdir)

  again = train(run_config, tmp_path / "parts").text()
  assert again.split("\n\nWritten")[0] == printed.split("\n\nWritten")[0]
  assert len(steps) == 2 * 2 * 4


def test_results_carry_config_versions_seed_and_the_word_simulated(
  finished,
):
  workdir = finished.workdir
  results = json.loads((workdir / "results.json").read_text())
  assert "simulated data" in results["title"]
  assert results["seed"] == 45 and results["versions"]["jax"]
  assert results["config"]["train"]["epochs"] == 2
  assert (workdir / "au_table.csv").read_text().count("simulated data") >= 13
  titles = [
    line
    for line in (workdir / "results.md").read_text().splitlines()
    if line[:1] == "#"
  ]
  assert titles and all("simulated data" in title for title in titles)


@pytest.mark.slow
def test_leaving_one_subject_out_trains_and_tests_inside_each_database(
  run_config, clips, train, tmp_path
):
  run_config.protocol = "loso"
  run_config.model.name = "ststnet"  # Compiled in no time.
  train(run_config, tmp_path / "run")
  found = read_predictions([tmp_path / "run" / "predictions.csv"])
  tested = sorted(zip(found.fold, found.database, found.subject, strict=True))
  own = np.isin(clips.database, ["casme2", "samm"])
  expected = [
    (f"{database}/{subject}", database, subject)
    for database, subject in zip(clips.database[own], clips.subject[own], strict=True)
  ]
  assert tested == sorted(expected)
  assert len({fold for fold, *_ in tested}) == 10


def test_a_damaged_newest_checkpoint_is_set_aside(run_config, train, tmp_path, caplog):
  train(run_config, tmp_path / "whole")
  for name in ("predictions.csv", "results.md"):
    (tmp_path / "whole" / name).unlink()
  fold = tmp_path / "whole" / "folds" / "seed45-casme2"
  before = (fold / "predictions.csv").read_bytes()
  (fold / "predictions.csv").unlink()
  (newest,) = (fold / "checkpoints").iterdir()
  shutil.copytree(newest, newest.with_name("999"))
  newest = newest.with_name("999")
  for file in newest.rglob("*"):
    if file.is_file():
      file.write_bytes(b"")
  train(run_config, tmp_path / "whole")
  assert (fold / "predictions.csv").read_bytes() == before
  assert (fold / "checkpoints" / f"damaged-{newest.name}").is_dir()
  assert "is damaged" in caplog.text


@pytest.mark.parametrize("keep", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_finished_fold_keeps_the_optimisers_state_only_where_asked(
  run_config, train, tmp_path, keep
):
  run_config.train.keep_state = keep
  run_config.folds = "samm"
  train(run_config, tmp_path)
  fold = tmp_path / "folds" / "seed45-samm"
  kept = last_checkpoint(fold)
  assert any("params" in name for name in kept)
  assert any("opt_state" in name for name in kept) == keep
  before = (fold / "predictions.csv").read_bytes()
  for path in (fold / "predictions.csv", tmp_path / "results.md"):
    path.unlink()
  train(run_config, tmp_path)
  assert (fold / "predictions.csv").read_bytes() == before


def test_a_fold_whose_only_checkpoint_is_damaged_says_how_to_train_it_alone(
  run_config, train, tmp_path
):
  train(run_config, tmp_path)
  fold, other = (tmp_path / "folds" / f"seed45-{name}" for name in ("samm", "casme2"))
  before = (fold / "predictions.csv").read_bytes()
  for path in (fold / "predictions.csv", tmp_path / "results.md"):
    path.unlink()
  for file in (fold / "checkpoints").rglob("*"):
    if file.is_file():
      file.write_bytes(b"")
  said = rf"to train this fold alone again, delete {fold} and .*results\.md, then run"
  with pytest.raises(UserError, match=said):
    train(run_config, tmp_path)
  shutil.rmtree(fold)
  untouched = (other / "predictions.csv").stat().st_mtime_ns
  train(run_config, tmp_path)
  assert (fold / "predictions.csv").read_bytes() == before
  assert (other / "predictions.csv").stat().st_mtime_ns == untouched


def test_sigterm_while_the_last_fold_is_tested_stops_the_run(
  run_config, train, tmp_path, monkeypatch
):
  predict = Experiment.predict

  def told(experiment, state, fold):
    if fold.name == "samm":
      os.kill(os.getpid(), signal.SIGTERM)
    return predict(experiment, state, fold)

  monkeypatch.setattr(Experiment, "predict", told)
  with pytest.raises(Preempted):
    train(run_config, tmp_path)
  assert len(list(tmp_path.glob("folds/*/predictions.csv"))) == 2
  assert not (tmp_path / "results.md").exists()
  train(run_config, tmp_path)
  assert (tmp_path / "results.md").exists()


@pytest.mark.parametrize("side_by_side, days", [(1, "3.7 days"), (6, "14.9 h")])
def test_the_estimate_knows_of_folds_side_by_side(
  tmp_path, monkeypatch, caplog, side_by_side, days
):
  caplog.set_level("INFO", "infusenet_jax")
  monkeypatch.setattr(run, "seconds_per_step", lambda *_: 1.0)
  network = SimpleNamespace(mesh=SimpleNamespace(shape={"fold": side_by_side}))
  run.say_time_needed(cd6me.get_config(), network, tmp_path)
  assert f"321000 steps still to train take about {days}" in caplog.text


@pytest.mark.parametrize("size, most", [(301, 300), (300, None)])
def test_a_batch_larger_than_the_training_clips_is_warned_of(
  run_config, monkeypatch, caplog, size, most
):
  counts = {"casme2": 20, "samm": 50, "mmew": 250}
  monkeypatch.setattr(run, "clips_expected", lambda _: counts)
  run_config.train.batch_size = size  # Folds casme2 and samm.
  run.warn_of_large_batch(run_config)
  assert (f"at most {most} clips to train on" in caplog.text) == bool(most)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(
  run_config, clips, train, tmp_path
):
  clips.flow[:] = np.nan
  for _ in range(2):  # The second time from the saved state, which is no success.
    with pytest.raises(UserError, match=r"step 0 \(epoch 1, clips .* not finite"):
      train(run_config, tmp_path)
  assert not list(tmp_path.glob("folds/*/predictions.csv"))


def test_a_workdir_of_a_run_on_other_records_is_refused(run_config, tmp_path):
  keep_config(tmp_path, run_config, {"casme2": "a", "samm": "b"})
  keep_config(tmp_path, run_config, {"casme2": "a", "samm": "b"})
  with pytest.raises(UserError, match="other records of samm"):
    keep_config(tmp_path, run_config, {"casme2": "a", "samm": "c"})


def test_another_runs_workdir_is_refused_with_the_differences(run_config, tmp_path):
  with claim(tmp_path, run_config) as workdir:
    keep_config(workdir, run_config, {"samm": "a"})
  run_config.train.epochs = 7
  with (
    pytest.raises(UserError, match=r"config\.train\.epochs is 2 there and 7 here"),
    claim(tmp_path, run_config),
  ):
    pass


@pytest.mark.parametrize("junk", ["", "[]", "{", "7", "[" * 100_000])
@pytest.mark.parametrize("name", ["config.json", "records.json"])
def test_junk_in_a_workdir_is_one_line(run_config, tmp_path, name, junk):
  (tmp_path / name).write_text(junk)
  with (
    pytest.raises(UserError, match=rf"{name}: .*name another --workdir") as refused,
    claim(tmp_path, run_config) as workdir,
  ):
    keep_config(workdir, run_config, {"samm": "a"})
  assert "\n" not in str(refused.value)


def test_the_workdir_keeps_what_was_said(run_config, tmp_path):
  log = logging.getLogger("infusenet_jax.training")
  for number in (1, 2):
    with (
      pytest.raises(UserError, match="mend it"),
      claim(tmp_path, run_config),
    ):
      log.warning("said %d", number)
      raise UserError("mend it")
  log.warning("said elsewhere")
  log_printed(tmp_path, "a table\n")
  lines = (tmp_path / "log.txt").read_text().splitlines()
  said = [re.sub(r"^\d{4}-\S+ \S+ ", "", line) for line in lines]
  assert said == [
    *("said 1", "UserError: mend it", "said 2", "UserError: mend it"),
    "a table",
  ]


def test_a_log_file_that_cannot_be_written_ends_nothing(run_config, tmp_path, capfd):
  (tmp_path / "log.txt").symlink_to("/dev/full")
  with claim(tmp_path, run_config):
    logging.getLogger("infusenet_jax.training").warning("said")
  assert "Traceback" not in capfd.readouterr().err


def test_simulated_data_are_named_before_anything_is_compiled(
  run_config, tmp_path, monkeypatch, caplog
):
  def stop(*_, **how):
    raise UserError("compiling")

  monkeypatch.setattr(run, "build_network", stop)
  with pytest.raises(UserError, match="compiling"):
    run.train_and_evaluate(run_config, tmp_path / "run")
  assert "training on SIMULATED DATA" in caplog.text
  assert "SIMULATED DATA" in (tmp_path / "run" / "log.txt").read_text()


def test_a_workdir_in_use_is_refused(run_config, tmp_path):
  with (
    claim(tmp_path, run_config),
    pytest.raises(UserError, match="another run is using it"),
    claim(tmp_path, run_config),
  ):
    pass


def test_a_workdir_that_cannot_be_made_is_refused(run_config, tmp_path):
  (tmp_path / "file").write_text("")
  with (
    pytest.raises(UserError, match="cannot be written"),
    claim(tmp_path / "file" / "run", run_config),
  ):
    pass


@pytest.mark.parametrize(
  "field, value, message",
  [
    ("folds", "casme2,cosmos", r"config\.folds names 'cosmos'.*casme2"),
    ("image_size", 100, "multiple of 16"),
    ("decide_by", "vote", "expected one of both, flow, magnified"),
    ("protocol", "holdout", "expected one of cd6me, loso"),
    ("seeds", (), "expected whole numbers"),
  ],
)
def test_a_config_that_no_run_can_have_is_refused(
  tiny_config, train, tmp_path, field, value, message
):
  with tiny_config.unlocked():
    tiny_config[field] = value
  with pytest.raises(UserError, match=message):
    train(tiny_config, tmp_path)


def test_durations_are_in_units_that_people_use():
  assert [duration(x) for x in (45, 600, 12_600, 950_400)] == [
    "45 s",
    "10 min",
    "3.5 h",
    "11.0 days",
  ]


def test_a_folder_without_records_is_refused_before_anything_is_compiled(
  run_config, tmp_path, monkeypatch
):
  monkeypatch.setattr(run, "build_network", None)
  run_config.data_dir = str(tmp_path / "nowhere")
  with pytest.raises(UserError, match=r"config\.data_dir=.*no prepared records"):
    run.train_and_evaluate(run_config, tmp_path / "run")
  assert not (tmp_path / "run").exists()
