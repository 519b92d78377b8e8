"""Videos wait, are looked at in turn, fail alone, and leave nothing behind."""

import time

import pytest

from infusenet_jax.predict.serve import desk as desks
from infusenet_jax.predict.serve.desk import FAILED, FINISHED, WORKING, Desk
from infusenet_jax.runtime.errors import UserError
from tests.predict.serve.workers import pretend


@pytest.fixture
def desk(tmp_path):
  desk = Desk(tmp_path / "desk", pretend)
  yield desk
  desk.close()


def hand_in(desk, tmp_path, name, **wishes):
  path = tmp_path / name
  path.write_bytes(b"film")
  return desk.add(path, **wishes).number


def wait(desk, number, *states):
  ends = time.monotonic() + 60
  while (video := desk.video(number)) and video.state not in states:
    assert time.monotonic() < ends, video
    time.sleep(0.01)
  return video


def test_one_after_the_other_and_a_crash_costs_one(desk, tmp_path):
  names = ("a.mp4", "bad.mp4", "crash.mp4", "b.mp4")
  numbers = [hand_in(desk, tmp_path, name) for name in names]
  assert numbers == [1, 2, 3, 4] and not list(tmp_path.glob("*.mp4"))
  good, bad, crashed, after = (wait(desk, n, FINISHED, FAILED) for n in numbers)
  assert (good.state, good.version, good.counts) == (FINISHED, 1, (2, 0))
  assert good.files == [
    *("report.html", "intervals.csv", "intervals.elan.txt", "frames.csv", "report.json")
  ]
  assert good.has_face
  assert (bad.state, bad.reason) == (FAILED, "not a video; copy it again")
  assert crashed.state == FAILED and "ended with status 7" in crashed.reason
  assert not crashed.files and after.state == FINISHED


def test_a_video_is_removed_while_it_is_looked_at(desk, tmp_path):
  slow, after = (hand_in(desk, tmp_path, name) for name in ("slow.mp4", "b.mp4"))
  ends = time.monotonic() + 60
  while desk.video(slow).progress[1] != 5:
    assert time.monotonic() < ends
    time.sleep(0.01)
  video = desk.video(slow)
  assert video.state == WORKING and video.share == 0.5
  desk.remove(slow)
  assert desk.video(slow) is None and not (tmp_path / "desk" / "1").exists()
  assert wait(desk, after, FINISHED, FAILED).state == FINISHED


def test_intervals_are_corrected(desk, tmp_path):
  number = hand_in(desk, tmp_path, "a.mp4")
  table = tmp_path / "table.csv"
  table.write_text("onset,apex,offset\n1,2,3\n")
  with pytest.raises(UserError, match="only a finished video"):
    desk.correct(number, table)
  wait(desk, number, FINISHED)
  desk.correct(number, table)
  video = wait(desk, number, FINISHED)
  assert video.version == 2 and "corrected.csv" in video.files
  assert video.task.intervals.read_text() == "onset,apex,offset\n1,2,3\n"


def test_nothing_is_left(tmp_path):
  desk = Desk(tmp_path / "desk", pretend)
  hand_in(desk, tmp_path, "slow.mp4")
  process = None
  while process is None:
    process = desk._process
  desk.close()
  assert not process.is_alive() and not list(tmp_path.iterdir())


def test_not_more_than_so_many(desk, tmp_path, monkeypatch):
  monkeypatch.setattr(desks, "MOST_VIDEOS", 1)
  hand_in(desk, tmp_path, "bad.mp4")
  with pytest.raises(UserError, match=r"b\.mp4: there are 1 videos already"):
    hand_in(desk, tmp_path, "b.mp4")


def test_how_long_it_takes(tmp_path):
  task = desks.Task(tmp_path / "a.mp4", tmp_path)
  video = desks.Video(1, task, WORKING, progress=(desks.FOLLOWING, 25, 100))
  assert video.seconds_left is None
  begun = desks.Video(
    1, task, WORKING, progress=video.progress, since=time.monotonic() - 10
  )
  assert begun.seconds_left == pytest.approx(30, abs=1)


def test_a_video_without_a_face_is_told_from_one_without_intervals(desk, tmp_path):
  video = wait(desk, hand_in(desk, tmp_path, "nobody.mp4"), FINISHED, FAILED)
  assert (video.state, video.counts, video.has_face) == (FINISHED, (0, 0), False)
