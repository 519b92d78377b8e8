"""The command as a user types it."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

from infusenet_jax import main
from infusenet_jax.runtime.command import parse_flags
from infusenet_jax.runtime.files import lock

ROOT = Path(__file__).parents[1]
CD6ME = "--config=configs/cd6me.py"


@pytest.fixture
def refusal(monkeypatch, capsys) -> Callable[..., str]:
  """Runs the command in this process and returns the one line that it refuses with."""
  monkeypatch.setattr(main, "start_log", lambda: None)

  def run(*given: str) -> str:
    monkeypatch.setattr(sys, "argv", ["main", *given])  # Where overrides are read.
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as ended:
      main.start()
    said = capsys.readouterr()
    assert ended.value.code == 2 and not said.out
    (line,) = said.err.splitlines()
    assert line.startswith("error: ")
    return line

  return run


@pytest.mark.parametrize(
  "given, words",
  [
    ([CD6ME, "--config.train.epoch=3"], "--config.train.epochs"),
    ([CD6ME, "--config.trian.epochs=3"], "--config.train.epochs"),
    (["--config", "configs/cd6me.py", "--config.train.epoch=3"], "train.epochs"),
    ([CD6ME, "--config.train.epochs=many"], "'many'"),
    ([CD6ME, "--config.folds=cosmos"], "casme2"),
    ([CD6ME, "--config.folds="], "expected 'all'"),
    ([CD6ME, "--config.model.width=15"], "an even number"),
    ([CD6ME, "--config.seeds=-1,"], "whole numbers from 0"),
    ([CD6ME, "train"], "'train' is no flag"),
    ([CD6ME, "--processes=2"], "need --distributed"),
    ([CD6ME, "--distributed", "--process=1"], "all three or not at all"),
    (["--config=configs/nowhere.py"], "configs/nowhere.py"),
    (["--config=configs/studies.py"], "configs/studies.py"),
    (["--config=study:model"], "expected one of models, ablations, rates"),
    (["--config=studies"], "published, quickstart, shipped, study"),
    (["--config=somewhere/cd6me.py"], "--config=cd6me names one that ships"),
    ([], "--config is missing"),
  ],
)
def test_bad_flags_get_one_line(given, words, refusal, tmp_path, monkeypatch):
  monkeypatch.chdir(ROOT)
  assert words in refusal(*given, f"--workdir={tmp_path / 'run'}")
  assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize("workdir", ["gs://bucket/run", "s3://bucket/run"])
def test_a_url_is_no_workdir(workdir, refusal, tmp_path, monkeypatch):
  config = f"--config={ROOT / 'configs' / 'quickstart.py'}"
  monkeypatch.chdir(tmp_path)
  assert f"--workdir={workdir}: is a URL" in refusal(config, f"--workdir={workdir}")
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", ["--config.train.epoch=3", "--config.folds=cosmos"])
def test_the_command_says_so_too(wrong, tmp_path):
  command = [sys.executable, "-m", "infusenet_jax.main", CD6ME, wrong]
  done = subprocess.run(
    [*command, f"--workdir={tmp_path / 'run'}"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2 and not done.stdout
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: ")
  assert ("--config.train.epochs" if "epoch" in wrong else "casme2") in line


def test_the_recipes_for_clusters_type_flags_that_there_are(monkeypatch):
  monkeypatch.chdir(ROOT)
  recipes = re.sub(r"\\\n\s*", "", (ROOT / "docs" / "clusters.md").read_text())
  commands = re.findall(r"-m infusenet_jax\.main ([^\n\"]+)", recipes)
  assert len(commands) == 4
  for command in commands:
    argv = ["main", *re.sub(r"\$\w+", "1", command).split()]
    monkeypatch.setattr(sys, "argv", argv)
    with flagsaver.flagsaver():
      assert parse_flags(argv) == ["main"]
      assert flags.FLAGS.distributed and flags.FLAGS.config.data_dir


@pytest.mark.release
def test_sigterm_before_training_frees_the_data_for_the_next_start(tmp_path):
  data = tmp_path / "data"
  line = [sys.executable, "-m", "infusenet_jax.main", "--config=configs/quickstart.py"]
  line += [f"--config.simulated.dir={data}", f"--workdir={tmp_path / 'run'}"]
  line += ["--config.image_size=32", "--config.model.width=4"]
  with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
    try:
      while not (data / "databases" / "SIMULATED.partial.json").exists():
        assert process.poll() is None
        time.sleep(0.05)
      process.send_signal(signal.SIGTERM)
      last = [said for said in process.stderr if said.strip()][-1]
      assert process.wait(60) == 75
    finally:
      process.kill()
  assert last.startswith("stopped: nothing was being trained; run the same command")
  with lock(data / "databases"):
    pass
