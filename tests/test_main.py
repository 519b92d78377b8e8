"""The command as a user types it."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    (["--config=configs/nowhere.py"], "configs/nowhere.py"),
    ([], "--config is missing"),
  ],
)
def test_bad_flags_get_one_line_and_a_status(flags, words, tmp_path):
  done = main(*flags, f"--workdir={tmp_path / 'run'}")
  assert done.returncode == 2
  lines = [line for line in done.stderr.splitlines() if "error" in line]
  assert len(lines) == 1 and words in lines[0]
  assert "Traceback" not in done.stderr
