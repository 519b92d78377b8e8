"""Frames of a video by number: the right ones, in any order, and one line otherwise."""

import cv2
import numpy as np
import pytest

from infusenet_jax.clips.frames.video import Video
from tests.data_prep.trees import write_video


def grey(frame):
  return round(float(frame.mean()))


@pytest.fixture(scope="module", params=[".avi", ".mp4"])
def video(request, tmp_path_factory):
  """20 frames, each 12 grey levels brighter than the last."""
  path = tmp_path_factory.mktemp("video") / f"a{request.param}"
  frames = [np.full((48, 64, 3), 12 * n, np.uint8) for n in range(20)]
  return write_video(path, frames, fps=50)


def test_frames_are_counted_from_0(video):
  opened = Video(video)
  assert (opened.fps, opened.count) == (50, 20)
  found = opened.frames([19, 0, 7, 8])
  assert list(found) == [0, 7, 8, 19]
  for number, frame in found.items():
    assert frame.shape == (48, 64, 3)
    assert abs(grey(frame) - 12 * number) <= 5


def test_one_pass_forwards_and_back_again(video, monkeypatch):
  opened, opens = Video(video), []
  monkeypatch.setattr(
    Video, "_open", lambda self, again=Video._open: (opens.append(1), again(self))
  )
  for numbers in ([3, 5], [6, 9], [15]):
    assert [grey(f) for f in opened.frames(numbers).values()] == pytest.approx(
      [12 * n for n in numbers], abs=5
    )
  assert not opens
  assert abs(grey(opened.frames([5])[5]) - 60) <= 5
  assert len(opens) == 1


def test_frames_beyond_the_end_are_left_out(video):
  assert list(Video(video).frames([19, 20, 3_000])) == [19]


@pytest.mark.parametrize("content", [b"", b"no video", b"RIFF\0\0\0\0AVI LIST"])
def test_file_that_is_no_video(tmp_path, content):
  path = tmp_path / "a%03d.avi"  # A name that OpenCV takes for many.
  path.write_bytes(content)
  with pytest.raises(ValueError, match=r"a%03d\.avi: not a video that OpenCV can"):
    Video(path)
  with pytest.raises(ValueError, match="no such file"):
    Video(tmp_path / "absent.avi")


def test_truncated_video(video, tmp_path):
  path = tmp_path / f"cut{video.suffix}"
  path.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
  try:
    found = Video(path).frames(range(20))
  except ValueError as error:
    assert "not a video" in str(error)
  else:
    assert len(found) < 20


def test_frames_that_can_hold_no_face(tmp_path):
  path = write_video(tmp_path / "a.avi", [np.zeros((16, 16, 3), np.uint8)] * 3)
  with pytest.raises(ValueError, match=r"a\.avi: 16x16 pixels; a frame has at least"):
    Video(path)


def test_exception_of_opencv(video, monkeypatch):
  def refuse(*_):
    raise cv2.error("no")

  monkeypatch.setattr(cv2, "VideoCapture", refuse)
  with pytest.raises(ValueError, match="not a video"):
    Video(video)
