"""Which videos are looked at, and where each one's outputs go."""

import pytest

from infusenet_jax.predict.jobs import find_jobs
from infusenet_jax.runtime.errors import UserError


def touch(path):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(b"x")
  return path


def test_one_video_writes_to_out_itself(tmp_path):
  video = touch(tmp_path / "a.mp4")
  (job,), top = find_jobs([video], tmp_path / "out")
  assert (job.path, job.out, top) == (video, tmp_path / "out", tmp_path / "out")
  (job,), _ = find_jobs([video], None)
  assert job.out.as_posix() == "predictions/a.mp4"


def test_folders_are_searched(tmp_path):
  for name in (
    "b.mp4",
    "a.MOV",
    "notes.txt",
    "sub/c.avi",
    "sub/f/1.png",
    "sub/f/2.png",
  ):
    touch(tmp_path / "in" / name)
  jobs, top = find_jobs([tmp_path / "in"], tmp_path / "out")
  found = [(j.path.relative_to(tmp_path / "in").as_posix(), j.out.name) for j in jobs]
  assert found == [
    *(("a.MOV", "a.MOV"), ("b.mp4", "b.mp4"), ("sub/c.avi", "c.avi"), ("sub/f", "f")),
  ]
  assert top == tmp_path / "out"
  jobs, _ = find_jobs([tmp_path / "in/b.mp4", tmp_path / "in"], None)
  assert len(jobs) == 4


def test_a_folder_of_frames_is_one_video(tmp_path):
  touch(tmp_path / "f/1.png")
  touch(tmp_path / "f/2.png")
  (job,), top = find_jobs([tmp_path / "f"], tmp_path / "out")
  assert (job.name, job.out) == ("f", top)


def test_a_folder_of_one_video_is_a_folder(tmp_path):
  """Its outputs do not move when a second video comes."""
  touch(tmp_path / "in/a.mp4")
  (job,), top = find_jobs([tmp_path / "in"], tmp_path / "out")
  assert job.out == top / "a.mp4"


def test_videos_of_one_name_do_not_share_a_folder(tmp_path):
  paths = [touch(tmp_path / name) for name in ("x/a.mp4", "y/A.mp4", "y/b.mp4")]
  jobs, _ = find_jobs(paths, None)
  again, _ = find_jobs(paths[::-1], None)
  names = {job.path: job.out.name for job in jobs}
  assert len({name.lower() for name in names.values()}) == 3
  assert names[paths[2]] == "b.mp4"
  assert names == {job.path: job.out.name for job in again}


def test_nothing_to_look_at(tmp_path):
  with pytest.raises(UserError, match="no such file or folder"):
    find_jobs([tmp_path / "absent.mp4"], None)
  touch(tmp_path / "in/notes.txt")
  with pytest.raises(UserError, match="holds neither videos"):
    find_jobs([tmp_path / "in"], None)
  for name in ("a.mp4", "1.png", "2.png"):
    touch(tmp_path / "in" / name)
  with pytest.raises(UserError, match=r"holds frames \(1\.png\) beside videos"):
    find_jobs([tmp_path / "in"], None)


def test_a_fingerprint_changes_with_the_file(tmp_path):
  video = touch(tmp_path / "a.mp4")
  (job,), _ = find_jobs([video], None)
  before = job.fingerprint()
  video.write_bytes(b"xy")
  assert job.fingerprint() != before
