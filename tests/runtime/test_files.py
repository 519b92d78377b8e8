import errno
import fcntl
import os
import subprocess
import sys

import pytest

from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock, write_atomically


def test_the_file_holds_the_text_as_it_is(tmp_path):
  write_atomically(tmp_path / "table.csv", "± 1\r\nAU\n")
  assert (tmp_path / "table.csv").read_bytes() == b"\xc2\xb1 1\r\nAU\n"
  assert len(list(tmp_path.iterdir())) == 1


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
  path = tmp_path / "results.json"
  write_atomically(path, "old")

  def fail(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(os, "replace", fail)
  with pytest.raises(UserError, match=r"results\.json: .*No space left.*make room"):
    write_atomically(path, "new")
  assert path.read_text() == "old"
  assert len(list(tmp_path.iterdir())) == 1


HOLD = """
import sys
from pathlib import Path
from infusenet_jax.runtime.files import lock
with lock(Path(sys.argv[1])):
  print("held", flush=True)
  sys.stdin.read()
"""


def test_a_lock_keeps_a_second_run_out_until_it_ends(tmp_path):
  out = tmp_path / "new" / "out"
  with lock(out):
    with pytest.raises(UserError) as refused, lock(out):
      pass
    assert str(refused.value) == f"--out {out}: another run is writing there"
    with (
      pytest.raises(UserError, match="--workdir=run: it is taken"),
      lock(out, "--workdir=run", "it is taken"),
    ):
      pass
  with pytest.raises(OSError, match="of the run itself"), lock(out):
    raise OSError("of the run itself")
  with lock(out):
    pass


def test_a_killed_process_leaves_no_lock(tmp_path):
  line = [sys.executable, "-c", HOLD, str(tmp_path)]
  pipe = subprocess.PIPE
  with subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True) as process:
    try:
      assert process.stdout.readline() == "held\n"
      with pytest.raises(UserError, match="another run"), lock(tmp_path):
        pass
    finally:
      process.kill()
  assert process.returncode == -9
  with lock(tmp_path):
    pass


@pytest.mark.parametrize("missing", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gets_a_warning(
  tmp_path, monkeypatch, caplog, missing
):
  def fail(*_):
    raise OSError(missing, os.strerror(missing))

  monkeypatch.setattr(fcntl, "flock", fail)
  with lock(tmp_path), lock(tmp_path):  # What a file would have kept out.
    assert f"{tmp_path} cannot be locked" in caplog.text


@pytest.mark.parametrize("out", ["file/out", "file", "taken"])
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, out):
  (tmp_path / "file").touch()
  (tmp_path / "taken" / ".lock").mkdir(parents=True)
  with pytest.raises(UserError) as refused, lock(tmp_path / out):
    pass
  (line,) = str(refused.value).splitlines()
  assert line.startswith(f"--out {tmp_path / out}: cannot be written (")
