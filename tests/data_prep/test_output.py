"""The folder of records: never half-made, never overwritten, whatever stops a build."""

import errno
import resource
import shutil

import pytest

from data_prep import build as build_module
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock
from tests.data_prep.builds import SIZE, build
from tests.data_prep.trees import write_all, write_casme2


def break_writer_after(monkeypatch, count, error):
  write = build_module.RecordWriter.write
  written = []

  def failing(self, example):
    written.append(1)
    if len(written) > count:
      raise error
    write(self, example)

  monkeypatch.setattr(build_module.RecordWriter, "write", failing)


@pytest.fixture
def two_databases(tmp_path):
  write_all(tmp_path / "all")
  for name in ("CASME II", "MMEW"):
    shutil.copytree(tmp_path / "all" / name, tmp_path / "root" / name)
  return tmp_path / "root", tmp_path / "out"


def test_full_disk_keeps_what_is_finished_and_leaves_no_half(
  two_databases, monkeypatch
):
  root, out = two_databases
  with monkeypatch.context() as patch:
    break_writer_after(patch, 3, OSError(errno.ENOSPC, "No space left on device"))
    first, second = build(root, out, size=SIZE)
  assert first.failure == ""
  assert "the disk is full" in second.failure
  assert sorted(p.name for p in out.iterdir()) == [".lock", "casme2"]
  first, second = build(root, out, size=SIZE)
  assert first.reused
  assert (second.clips, second.failure) == (2, "")


def test_disk_error_that_only_the_record_writer_sees(tmp_path):
  write_casme2(tmp_path / "root")
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
  try:
    (outcome,) = build(tmp_path / "root", tmp_path / "out", size=SIZE)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  assert "cannot be written" in outcome.failure
  assert "\n" not in outcome.failure
  assert [p.name for p in (tmp_path / "out").iterdir()] == [".lock"]


def test_interrupted_build_resumes(two_databases, monkeypatch):
  root, out = two_databases
  with monkeypatch.context() as patch:
    break_writer_after(patch, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
      build(root, out, size=SIZE)
  assert sorted(p.name for p in out.iterdir()) == [".lock", "casme2"]
  first, second = build(root, out, size=SIZE)
  assert (first.reused, second.reused, second.clips) == (True, False, 2)


def test_killed_builds_leftovers_are_cleared(tmp_path):
  write_casme2(tmp_path / "root")
  left = tmp_path / "out/.building-casme2"
  left.mkdir(parents=True)
  (left / "records").write_bytes(b"half")
  (outcome,) = build(tmp_path / "root", tmp_path / "out", size=SIZE)
  assert outcome.clips == 2
  assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [".lock", "casme2"]


def test_folder_without_finished_records(tmp_path):
  write_casme2(tmp_path / "root")
  (tmp_path / "out/casme2/1.0.0").mkdir(parents=True)
  (outcome,) = build(tmp_path / "root", tmp_path / "out", size=SIZE)
  assert "holds no finished records; delete" in outcome.failure


def test_two_builds_at_once(tmp_path):
  write_casme2(tmp_path / "root")
  with (
    lock(tmp_path / "out"),
    pytest.raises(UserError, match="another run is writing there"),
  ):
    build(tmp_path / "root", tmp_path / "out", size=SIZE)
  build(tmp_path / "root", tmp_path / "out", size=SIZE)
  with lock(tmp_path / "out"):  # Nothing to write: no need to be alone.
    (outcome,) = build(tmp_path / "root", tmp_path / "out", size=SIZE)
  assert outcome.reused


def test_disk_that_is_too_small_is_said_before(tmp_path, monkeypatch):
  write_casme2(tmp_path / "root")
  usage = shutil.disk_usage(tmp_path)._replace(free=1000)
  monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
  (outcome,) = build(tmp_path / "root", tmp_path / "out", size=SIZE)
  assert "0.0 MB free, about 0.1 MB are needed" in outcome.failure


def test_out_that_cannot_be_written(tmp_path):
  write_casme2(tmp_path / "root")
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match="cannot be written"):
    build(tmp_path / "root", tmp_path / "file" / "out", size=SIZE)


@pytest.mark.parametrize("junk", ["", "{", "[]", "null", "{}"])
def test_metadata_that_hold_junk(tmp_path, junk):
  write_casme2(tmp_path / "root")
  build(tmp_path / "root", tmp_path / "out", size=SIZE)
  (tmp_path / "out/casme2/1.0.0/metadata.json").write_text(junk)
  (outcome,) = build(tmp_path / "root", tmp_path / "out", size=SIZE)
  assert outcome.failure.startswith(f"{tmp_path}/out/casme2/1.0.0: ")
  assert "delete" in outcome.failure
