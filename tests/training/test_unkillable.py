"""Killed at any moment, or out of room: nothing is lost, and the end is the same."""

import contextlib
import dataclasses
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.workdir import claim
from infusenet_jax.training import run
from infusenet_jax.training.engine.experiment import Experiment
from tests.training.kill import differences, kill_and_compare


@pytest.mark.release
def test_a_run_that_was_killed_ends_like_one_that_was_not(tmp_path):
  config = "configs/baselines.py:ststnet,quickstart"  # Compiles in seconds.
  assert kill_and_compare(tmp_path, config, kills=1, seed=0) == []


@pytest.mark.release
def test_infusenet_killed_five_times_ends_like_one_that_was_not(tmp_path):
  assert kill_and_compare(tmp_path, "configs/quickstart.py", kills=5, seed=0) == []


class SmallDisk:
  """A file system of its own, of 60 MB."""

  def __init__(self, folder: Path):
    self.folder = folder
    self._filler = folder / "filler"

  def fill(self, left: int) -> None:
    """Takes all its room but `left` bytes."""
    self._filler.write_bytes(b"")
    with self._filler.open("ab", buffering=0) as filler:
      try:
        while True:
          filler.write(bytes(65536))
      except OSError:
        filler.truncate(filler.tell() - left)

  def make_room(self) -> None:
    self._filler.unlink()


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
  """Within it nobody can write below `folder`, root included."""
  freeze(folder)
  yield
  subprocess.run(["umount", folder], check=True)


def freeze(folder: Path) -> None:
  subprocess.run(["mount", "--bind", folder, folder], check=True)
  subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)


@pytest.fixture
def disk(tmp_path):
  folder = tmp_path / "disk"
  folder.mkdir()
  command = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", folder]
  try:
    subprocess.run(command, check=True, capture_output=True)
  except (OSError, subprocess.CalledProcessError):
    pytest.skip("needs the right to mount a file system")
  yield SmallDisk(folder)
  subprocess.run(["umount", "--recursive", folder], check=True)


def at_step(number: int, saved: Path, act, monkeypatch) -> None:
  """Calls `act` before update `number`, once the checkpoint `saved` is on disk."""
  made, calls = run.build_network, []

  def build(config, mesh, **_):
    network = made(config, mesh)

    def step(*arguments):
      calls.append(1)
      if len(calls) == number:
        until = time.monotonic() + 60
        while not saved.exists() and time.monotonic() < until:
          time.sleep(0.01)
        act()
      return network.train_steps(*arguments)

    return dataclasses.replace(network, train_steps=step)

  monkeypatch.setattr(run, "build_network", build)


@pytest.mark.slow
@pytest.mark.parametrize(
  "left, what",
  [
    pytest.param(0, "losses.csv", marks=pytest.mark.release, id="losses"),
    pytest.param(20_000, "checkpoints", id="state"),
  ],
)
def test_a_full_disk_stops_the_run_in_one_line_and_loses_nothing(
  run_config, train, finished, disk, monkeypatch, left, what
):
  # The second epoch of the first fold: a checkpoint is there, the next finds no room.
  fold = disk.folder / "run" / "folds" / "seed45-casme2"
  at_step(6, fold / "checkpoints" / "4", lambda: disk.fill(left), monkeypatch)
  with pytest.raises(UserError) as stopped:
    train(run_config, disk.folder / "run")
  (line,) = str(stopped.value).splitlines()
  assert line.startswith(str(fold / what))
  assert "No space left on device" in line and "run the same command again" in line
  assert (fold / "checkpoints" / "4").exists()
  disk.make_room()
  train(run_config, disk.folder / "run")
  assert differences(disk.folder / "run", finished.workdir) == []
  assert not list(disk.folder.rglob("*orbax-checkpoint-tmp*"))


@pytest.mark.slow
def test_a_disk_that_is_full_when_a_fold_is_tested_is_one_line(
  run_config, train, disk, monkeypatch
):
  predict = Experiment.predict

  def fill_first(*arguments):
    disk.fill(left=0)
    return predict(*arguments)

  monkeypatch.setattr(Experiment, "predict", fill_first)
  with pytest.raises(UserError, match=r"maps\.npz: cannot be written \(No space left"):
    train(run_config, disk.folder / "run")
  disk.make_room()
  monkeypatch.setattr(Experiment, "predict", predict)
  train(run_config, disk.folder / "run")


@pytest.mark.slow
def test_a_disk_that_turns_read_only_stops_the_run_and_loses_nothing(
  run_config, train, finished, disk, monkeypatch
):
  folds = disk.folder / "run" / "folds"
  saved = folds / "seed45-casme2" / "checkpoints" / "4"
  at_step(6, saved, lambda: freeze(folds), monkeypatch)
  with pytest.raises(UserError, match=r"Read-only file system\); .*same command again"):
    train(run_config, disk.folder / "run")
  subprocess.run(["umount", folds], check=True)
  train(run_config, disk.folder / "run")
  assert differences(disk.folder / "run", finished.workdir) == []


def test_a_read_only_workdir_is_refused_in_one_line(run_config, disk):
  folder = disk.folder / "run"
  with claim(folder, run_config):
    pass
  refused = pytest.raises(UserError, match=r"--workdir=.*\(Read-only file system\)")
  with read_only(folder), refused, claim(folder, run_config):
    pass
