"""`predict` needs nothing that Windows or macOS lack; what does need it says so."""

import ast
import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infusenet_jax.clips.schema import array_record
from infusenet_jax.runtime.errors import UserError
from tests.test_architecture import imports, modules

# Without wheels for Windows (uvloop is orbax's, array-record ours, grain's and TFDS's),
# and what the first needs elsewhere too.
PACKAGES = ("array_record", "grain", "tensorflow_datasets", "uvloop")
POSIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
HIDE = f"""
import sys

class Hidden:
  def find_spec(self, name, path=None, target=None):
    if name.split(".")[0] in {PACKAGES}:
      raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture
def without(tmp_path):
  """The environment of a process in which those packages are not there."""
  folder = tmp_path / "hidden"
  folder.mkdir()
  (folder / "sitecustomize.py").write_text(HIDE)
  paths = [str(folder), str(Path(__file__).parents[2])]
  return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def run(environment, *line):
  return subprocess.run(
    [sys.executable, *map(str, line)], env=environment, capture_output=True, text=True
  )


@pytest.mark.slow
def test_a_video_is_opened_without_them(without, tmp_path):
  (tmp_path / "a.mp4").write_bytes(b"no video")
  video = tmp_path / "a.mp4"
  done = run(without, "-m", "infusenet_jax.predict", video, "--out", tmp_path / "out")
  assert done.returncode == 2, done.stderr
  (line,) = done.stderr.splitlines()
  assert "a.mp4: not a video" in line


@pytest.mark.slow
def test_a_video_is_looked_at_without_them(without, film, tmp_path):
  given = ("--onset", 1, "--apex", 6, "--no-pictures", "--out", tmp_path / "out")
  done = run(without, "-m", "infusenet_jax.predict", film, *given)
  assert done.returncode == 0, done.stderr
  with open(tmp_path / "out" / "intervals.csv", newline="") as file:
    (row,) = csv.DictReader(file)
  assert 0 <= float(row["AU12"]) <= 1


def closure(name, known):
  """All modules of ours that importing a module imports, wherever it does."""
  found, left = set(), {name}
  while left:
    found |= (module := {left.pop()})
    left |= imports(known[module.pop()].read_text(encoding="utf-8"), set(known)) - found
  return found


def test_no_module_of_ours_is_for_posix_alone():
  known = modules()
  reached = closure("infusenet_jax.predict.__main__", known)
  reached |= closure("infusenet_jax.predict.serve.__main__", known)
  assert "infusenet_jax.runtime.files" in reached and len(reached) > 40
  for name in reached:
    for node in ast.walk(ast.parse(known[name].read_text(encoding="utf-8"))):
      names = set()
      if isinstance(node, ast.Import):
        names = {alias.name for alias in node.names}
      elif isinstance(node, ast.ImportFrom):
        names = {node.module}
      assert not names & POSIX, name


def test_records_say_what_is_missing(monkeypatch):
  assert array_record().ArrayRecordReader
  monkeypatch.setitem(sys.modules, "array_record", None)
  monkeypatch.setitem(sys.modules, "array_record.python", None)
  with pytest.raises(
    UserError, match="array-record, which is not installed"
  ) as refusal:
    array_record()
  assert "\n" not in str(refusal.value)
