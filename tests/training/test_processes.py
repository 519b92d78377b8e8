"""Two processes that train together: the numbers of one, and no one left waiting."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from infusenet_jax.evaluate.predictions import read_predictions
from tests.conftest import on_devices

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TRAIN = [
  "-m",
  "infusenet_jax.main",
  "--config=baselines:ststnet,quickstart",
  "--config.image_size=32",
  "--config.record_size=32",
  "--config.simulated.scale=0.02",
  "--config.train.epochs=30",
  "--config.train.batch_size=8",
  "--config.train.checkpoint_epochs=1",
  # Rounding differs between one process and two, and Adam at a usual rate amplifies it.
  "--config.train.learning_rate=1e-4",
  "--config.folds=casme2",
]
# As where neither clips nor latents fit a device: Grain reads frames for each step.
STREAMED = """
from infusenet_jax import main
from infusenet_jax.training.engine import inputs
inputs.fits_device = lambda *_: False
main.start()
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory):
  folder = tmp_path_factory.mktemp("simulated")
  return [sys.executable, *TRAIN, f"--config.simulated.dir={folder}"]


def start(command, workdir, logs, processes: int = 2) -> list[subprocess.Popen]:
  """Starts the processes of one run, each with a log of its own."""
  started = []
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
  for process in range(processes):
    together = [
      "--distributed",
      f"--coordinator=127.0.0.1:{port}",
      f"--processes={processes}",
      f"--process={process}",
    ]
    line = [*command, f"--workdir={workdir}", *(together if processes > 1 else ())]
    logs.mkdir(exist_ok=True)
    with (logs / f"{process}.log").open("w") as log:
      started.append(
        subprocess.Popen(line, cwd=ROOT, stdout=log, stderr=log, env=on_devices(1))
      )
  return started


def end(started, logs, seconds: int = 400) -> list[int]:
  """Waits for all of them and returns their exit statuses."""
  deadline = time.monotonic() + seconds
  try:
    return [process.wait(deadline - time.monotonic()) for process in started]
  except subprocess.TimeoutExpired:
    said = "\n".join(path.read_text()[-2000:] for path in sorted(logs.glob("*.log")))
    pytest.fail(f"still running after {seconds} s:\n{said}")
  finally:
    for process in started:
      process.kill()


def wait_for_epoch(workdir, epoch: int, started) -> None:
  """Returns when the losses of `epoch` epochs are on disk."""
  losses = workdir / "folds" / "seed45-casme2" / "losses.csv"
  while not losses.exists() or len(losses.read_text().splitlines()) <= epoch:
    assert all(process.poll() is None for process in started)
    time.sleep(0.05)


@pytest.mark.release  # Five runs, of one and of two processes.
def test_two_processes_stop_together_and_one_or_two_go_on(command, tmp_path):
  logs = tmp_path / "logs"
  assert end(start(command, tmp_path / "alone", logs, 1), logs) == [0]

  two = start(command, tmp_path / "two", logs)
  wait_for_epoch(tmp_path / "two", 2, two)
  two[1].send_signal(signal.SIGTERM)  # Not the one that writes.
  assert end(two, logs) == [75, 75]
  assert "run the same command again" in (logs / "0.log").read_text()
  assert not (tmp_path / "two" / "results.md").exists()

  for copy in ("one", "damaged"):
    shutil.copytree(tmp_path / "two", tmp_path / copy)
  assert end(start(command, tmp_path / "two", logs), logs) == [0, 0]
  assert "Database table" in (logs / "0.log").read_text()
  assert "Database table" not in (logs / "1.log").read_text()
  assert end(start(command, tmp_path / "one", logs, 1), logs) == [0]

  # The newest checkpoint is damaged: both go back to the one before.
  checkpoints = tmp_path / "damaged" / "folds" / "seed45-casme2" / "checkpoints"
  _, newest = sorted(int(path.name) for path in checkpoints.iterdir())
  for file in (checkpoints / str(newest)).rglob("*"):
    if file.is_file():
      file.write_bytes(b"")
  assert end(start(command, tmp_path / "damaged", logs), logs) == [0, 0]
  assert "is damaged" in (logs / "0.log").read_text()
  assert (checkpoints / f"damaged-{newest}").is_dir()

  alone, *others = (
    read_predictions([tmp_path / name / "predictions.csv"]).logits
    for name in ("alone", "one", "two", "damaged")
  )
  for logits in others:
    np.testing.assert_allclose(logits, alone, rtol=1e-3, atol=1e-3)


@pytest.mark.release
def test_two_processes_stream_each_their_rows_of_a_batch(command, tmp_path):
  python, _, _, *flags = command
  logs = tmp_path / "logs"
  streamed = [python, "-c", STREAMED, *flags, "--config.train.epochs=1"]
  assert end(start(streamed, tmp_path / "one", logs, 1), logs) == [0]
  assert "do not fit the device" in (logs / "0.log").read_text()
  assert end(start(streamed, tmp_path / "two", logs), logs) == [0, 0]
  one, two = (
    read_predictions([tmp_path / name / "predictions.csv"]).logits
    for name in ("one", "two")
  )
  np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dead", [pytest.param(0, marks=pytest.mark.release), 1])
def test_a_process_that_dies_stops_the_others_in_bounded_time(command, tmp_path, dead):
  logs = tmp_path / "logs"
  two = start(command, tmp_path / "two", logs)
  wait_for_epoch(tmp_path / "two", 1, two)
  two[dead].kill()
  died = time.monotonic()
  statuses = end(two, logs, seconds=120)
  assert time.monotonic() - died < 120
  assert statuses[dead] == -9
  said = (logs / f"{1 - dead}.log").read_text()
  if dead == 0 and statuses[1] == -6:
    # JAX itself noticed that its coordinator is gone, and leaves no one the word.
    assert "coordination service" in said
  else:
    assert statuses[1 - dead] == 75  # Launchers start it again.
    assert "another process of this run has ended" in said.splitlines()[-1]


def test_processes_that_find_no_one_say_so(command, tmp_path):
  line = [*command, f"--workdir={tmp_path}", "--distributed"]
  environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
  done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, env=environment)
  assert done.returncode == 2
  assert "give every process --coordinator" in done.stderr.splitlines()[-1]
