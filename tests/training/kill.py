"""Kills a small run at random moments, and compares what it ends with.

python -m tests.training.kill --kills 20 --seed 0
python -m tests.training.kill --kills 20 \\
  --config=configs/baselines.py:ststnet,quickstart

One run on tiny simulated records is left alone. Another one is killed (SIGKILL, the
whole process group), started again by the same command, killed again, and so on. When
it gets to its end before its moment comes, it is compared with the one that was left
alone, and begun afresh. Compared bit by bit: the last checkpoint of every fold, and
all files of predictions, losses, tables and reports.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

FLAGS = (
  "--config.folds=casme2,samm",
  "--config.image_size=32",
  "--config.model.width=4",
  "--config.train.epochs=6",
  "--config.train.batch_size=4",
  "--config.train.checkpoint_epochs=1",
  "--config.train.schedule=cosine",
  "--config.train.mirror",
)


def make_records(folder: Path) -> Path:
  """Records of three simulated databases with 6 clips each, 32 px."""
  databases, records = folder / "databases", folder / "records"
  simulate = f"--out={databases} --scale=0.015 --labels=balanced --frames=key"
  build = f"--root={databases} --out={records} --size=32"
  for line in (f"simulate {simulate} --databases=casme2,samm,mmew", f"build {build}"):
    command = [sys.executable, "-m", "data_prep", *line.split()]
    subprocess.run(command, check=False, capture_output=True)
  if not records.exists():
    raise RuntimeError(f"{records} was not made; the command was {command}")
  return records


class Run:
  """The small run: one command, given as often as one likes."""

  def __init__(self, records: Path, workdir: Path, cache: Path, config: str):
    self.workdir = workdir
    self.log = workdir.with_suffix(".log")
    self._environment = os.environ | {
      "JAX_COMPILATION_CACHE_DIR": str(cache),
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
    }
    self._command = [sys.executable, "-m", "infusenet_jax.main", f"--config={config}"]
    self._command += [*FLAGS, f"--config.data_dir={records}", f"--workdir={workdir}"]

  def __call__(self, kill_after: float | None = None) -> tuple[bool, float]:
    """Whether it got to its end, and after how many seconds it did or was killed.

    Raises:
      RuntimeError: it ended by itself with an error.
    """
    start = time.monotonic()
    with self.log.open("wb") as log:
      process = subprocess.Popen(
        self._command,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=self._environment,
        start_new_session=True,
      )
      try:
        status = process.wait(kill_after)
      except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False, time.monotonic() - start
      except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    if status:
      raise RuntimeError(f"status {status} of {self._command}:\n{self.log.read_text()}")
    return True, time.monotonic() - start

  def last_words(self) -> str:
    """What the log said last, in at most 70 characters."""
    lines = re.split(r"[\r\n]+", self.log.read_text(errors="replace"))
    lines = [re.sub(r"\x1b\[\w+", "", line).strip() for line in lines]
    return next((line[:70] for line in reversed(lines) if line), "nothing yet")


def differences(one: Path, other: Path) -> list[str]:
  """What two finished workdirs differ in: results and final parameters, bit by bit."""
  found = []
  files = {path for folder in (one, other) for path in _results(folder)}
  for name in sorted(files):
    pair = [folder / name for folder in (one, other)]
    if not all(path.exists() for path in pair):
      found.append(f"{name} is in one of them only")
    elif pair[0].read_bytes() != pair[1].read_bytes():
      found.append(name)
  folds = {path.name for folder in (one, other) for path in folder.glob("folds/*")}
  for fold in sorted(folds):
    states = [last_checkpoint(folder / "folds" / fold) for folder in (one, other)]
    if states[0].keys() != states[1].keys():
      found.append(f"{fold}: {' and '.join(str(len(s)) for s in states)} arrays")
      continue
    same = [
      states[0][name].tobytes() == states[1][name].tobytes() for name in states[0]
    ]
    if not all(same):
      found.append(f"{fold}: {same.count(False)} of {len(same)} arrays")
  return found


def _results(workdir: Path) -> set[str]:
  found = [path for path in workdir.rglob("*") if path.is_file()]
  names = [str(path.relative_to(workdir)) for path in found if path.name[0] != "."]
  return {n for n in names if "/checkpoints/" not in n and n != "log.txt"}


def last_checkpoint(fold: Path) -> dict[str, np.ndarray]:
  """The arrays of the newest checkpoint, read without the project's own code."""
  with ocp.CheckpointManager(fold / "checkpoints") as manager:
    step = manager.latest_step()
    items = ocp.args.Composite(state=ocp.args.StandardRestore())
    state = manager.restore(step, args=items).state
  leaves = jax.tree.leaves_with_path(state)
  arrays = {}
  for path, leaf in leaves:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):  # A baseline's dropout.
      leaf = jax.random.key_data(leaf)
    arrays[jax.tree_util.keystr(path)] = np.asarray(leaf)
  return arrays | {"saved under": np.asarray(step)}


def kill_and_compare(folder: Path, config: str, kills: int, seed: int) -> list[str]:
  """Prints a line per kill and returns what differed, which should be nothing."""
  records = make_records(folder)
  # A cache of its own, so that some kills hit the compiler and what it keeps.
  alone = Run(records, folder / "alone", folder / "alone-cache", config)
  killed = Run(records, folder / "killed", folder / "killed-cache", config)
  _, whole = alone()
  print(f"left alone: {whole:.1f} s, with everything to compile", flush=True)
  moments, found, done, ends = random.Random(seed), [], 0, 0
  while True:
    # The second run is let go, to know how long one takes with nothing to compile.
    let_go = done >= kills or ends == 1
    finished, seconds = killed(None if let_go else moments.uniform(0, whole))
    if not finished:
      done += 1
      print(f"kill {done:2d} after {seconds:5.1f} s: {killed.last_words()}", flush=True)
      continue
    ends += 1
    if ends == 2:
      whole = seconds
    new = differences(alone.workdir, killed.workdir)
    found += new
    verdict = f"DIFFERS in {'; '.join(new)}" if new else "bit-identical"
    print(
      f"end {ends} after {seconds:.1f} s, {done} kills so far: {verdict}", flush=True
    )
    if done >= kills:
      break
    shutil.rmtree(killed.workdir)
  drafts = [path for path in killed.workdir.rglob(".*") if path.name != ".lock"]
  print(f"drafts that kills left behind in the last workdir: {len(drafts)}")
  print(f"{done} kills, {ends} ends: {'DIFFERENT' if found else 'all bit-identical'}")
  return found


def main() -> int:
  """Reads the flags; the status is 1 where anything differs."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--kills", type=int, default=20)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--config", default="configs/quickstart.py")
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    found = kill_and_compare(Path(folder), **vars(arguments))
  return bool(found)


if __name__ == "__main__":
  sys.exit(main())
