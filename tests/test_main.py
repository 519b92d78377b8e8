"""The command as a user types it."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infusenet_jax.runtime.files import lock

ROOT = Path(__file__).parents[1]


def main(*flags: str) -> subprocess.CompletedProcess:
  command = [sys.executable, "-m", "infusenet_jax.main", *flags]
  return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
  "flags, words",
  [
    (["--config=configs/cd6me.py", "--config.train.epoch=3"], "--config.train.epochs"),
    (["--config=configs/cd6me.py", "--config.trian.epochs=3"], "--config.train.epochs"),
    (["--config=configs/cd6me.py", "--config.train.epochs=many"], "'many'"),
    (["--config=configs/cd6me.py", "--config.data_dir=/nowhere"], "data_prep build"),
    (["--config", "configs/cd6me.py", "--config.train.epoch=3"], "train.epochs"),
    (["--config=configs/cd6me.py", "--config.folds=cosmos"], "casme2"),
    (["--config=configs/cd6me.py", "--config.folds="], "expected 'all'"),
    (["--config=configs/cd6me.py", "--config.model.width=15"], "an even number"),
    (["--config=configs/cd6me.py", "--config.seeds=-1,"], "whole numbers from 0"),
    (["--config=configs/nowhere.py"], "configs/nowhere.py"),
    ([], "--config is missing"),
  ],
)
def test_bad_flags_get_one_line_and_a_status(flags, words, tmp_path):
  done = main(*flags, f"--workdir={tmp_path / 'run'}")
  assert done.returncode == 2
  unstamped = [x for x in done.stderr.splitlines() if not re.match(r"\d\d:\d\d:", x)]
  assert len(unstamped) == 1 and words in unstamped[0], done.stderr
  assert unstamped[0].startswith("error: ")
  assert not (tmp_path / "run" / "config.json").exists()


def test_sigterm_before_training_frees_the_data_for_the_next_start(tmp_path):
  line = [sys.executable, "-m", "infusenet_jax.main", "--config=configs/quickstart.py"]
  line += [
    f"--config.simulated.dir={tmp_path / 'data'}",
    f"--workdir={tmp_path / 'run'}",
  ]
  line += ["--config.image_size=32", "--config.model.width=4"]
  process = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True)
  try:
    for said in process.stderr:
      if "SIMULATED DATA" in said:
        break
    time.sleep(3)  # The faces are being drawn.
    process.send_signal(signal.SIGTERM)
    last = [said for said in process.stderr if said.strip()][-1]
    assert process.wait(60) == 75
  finally:
    process.kill()
  assert last.startswith("stopped: nothing was being trained; run the same command")
  with lock(tmp_path / "data" / "databases"):
    pass
