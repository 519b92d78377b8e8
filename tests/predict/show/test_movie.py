"""The movie as a player reads it: its frames, their times, and what is drawn."""

import dataclasses
import tracemalloc

import av
import numpy as np
import pytest

from infusenet_jax.predict.show.movie import write_movie
from infusenet_jax.predict.show.stage import BAR, layout
from infusenet_jax.runtime.errors import UserError
from tests.predict.reports import make_frames, make_report, without_face

MARK = (45, 189, 174)


def pictures(frames, side=(96, 128)):
  """A grey that rises with the frame."""
  for number, seconds in zip(frames.number, frames.seconds, strict=True):
    yield int(number), float(seconds), np.full((*side, 3), 40 + number % 100, np.uint8)


def red(onset, frame):
  """A magnifier that is easily seen at work."""
  assert onset.shape == frame.shape == (64, 64, 3)
  return np.full_like(frame, (255, 0, 0))


def write(path, report, frames=None, magnify=red):
  given = pictures(report.frames) if frames is None else frames
  write_movie(path, report, given, magnify, amp=10, size=64)
  with av.open(str(path)) as file:
    stream = file.streams.video[0]
    decoded = [
      (float(frame.time), frame.to_ndarray(format="rgb24"))
      for frame in file.decode(stream)
    ]
    return decoded, file.duration / av.time_base, stream.codec_context


def short_report(**changes):
  report = make_report(count=80, onsets=(30,))
  return dataclasses.replace(report, **changes)


def test_every_frame_keeps_its_time(tmp_path):
  """At a varying rate as well."""
  steps = np.random.default_rng(0).choice([0.01, 0.04, 0.1], 79)
  frames = make_frames(80)
  frames.seconds[1:] = np.cumsum(steps)
  report = short_report(frames=frames)
  decoded, duration, codec = write(tmp_path / "a b é.mp4", report)
  times = np.array([time for time, _ in decoded])
  np.testing.assert_allclose(times, frames.seconds, atol=1e-4)
  assert duration == pytest.approx(frames.seconds[-1] + steps[-1], abs=0.002)
  assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
  assert [path.name for path in tmp_path.iterdir()] == ["a b é.mp4"]


def test_players_can_begin_before_they_have_all(tmp_path):
  write(tmp_path / "movie.mp4", short_report())
  data = (tmp_path / "movie.mp4").read_bytes()
  assert 0 < data.index(b"moov") < data.index(b"mdat")


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
  report = short_report(frames=without_face(make_frames(80), slice(60, 80)))
  decoded, *_ = write(tmp_path_factory.mktemp("movie") / "movie.mp4", report)
  return [picture for _, picture in decoded]


def test_the_face_is_magnified_within_an_interval(movie):
  place = layout(128, 96)
  assert movie[0].shape == place.shape
  beside = [picture[60 : place.face, place.width :].mean((0, 1)) for picture in movie]
  inside = [colour[0] > colour[1] + 100 for colour in beside]
  assert np.flatnonzero(inside).tolist() == list(range(30, 51))
  assert max(beside[70]) < 40  # No face: nothing but the paper.


def test_the_interval_is_marked_in_the_video_and_in_the_bar(movie):
  place = layout(128, 96)

  def marked(picture):
    return (np.abs(picture.astype(int) - MARK).max(-1) < 40).sum()

  video = [marked(movie[n][: place.height, : place.width]) for n in (5, 28, 32, 49)]
  assert min(video[2:]) > 500 > max(video[:2])
  assert min(marked(movie[n][-BAR:]) for n in (5, 32, 79)) > 100


def test_the_onset_is_what_is_magnified_against(tmp_path):
  seen = []

  def magnify(onset, frame):
    seen.append((onset.mean(), frame.mean()))
    return frame

  write(tmp_path / "movie.mp4", short_report(), magnify=magnify)
  assert [onset for onset, _ in seen] == [70] * 21
  assert [frame for _, frame in seen] == list(range(70, 91))


def test_one_frame_and_odd_sizes(tmp_path):
  report = make_report(count=1, onsets=())
  (decoded, *_) = write(tmp_path / "one.mp4", report, pictures(report.frames, (97, 51)))
  assert len(decoded) == 1
  assert all(side % 2 == 0 for side in decoded[0][1].shape[:2])


@pytest.mark.parametrize("size", [(64, 48), (1920, 1080), (1080, 1920), (3840, 2160)])
def test_the_video_keeps_its_shape(size):
  place = layout(*size)
  assert place.width / place.height == pytest.approx(size[0] / size[1], rel=0.01)
  assert place.width <= 1280 and 360 <= place.height <= 720
  assert all(side % 2 == 0 for side in (*place.shape[:2], *place))


def test_no_frames_and_no_folder(tmp_path):
  report = short_report()
  with pytest.raises(ValueError, match=r"ben\.mp4: no frames"):
    write(tmp_path / "movie.mp4", report, iter(()))
  with pytest.raises(UserError, match=r"movie\.mp4: cannot be written"):
    write(tmp_path / "absent" / "movie.mp4", report)
  assert not list(tmp_path.iterdir())


def test_what_fails_leaves_nothing(tmp_path):
  def magnify(onset, frame):
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    write(tmp_path / "movie.mp4", short_report(), magnify=magnify)
  assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_length(tmp_path):
  peaks = []
  for count in (20, 80):
    report = make_report(count=count, onsets=())
    tracemalloc.start()
    write_movie(
      tmp_path / "m.mp4", report, pictures(report.frames), red, amp=1, size=64
    )
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
  assert peaks[1] < 1.3 * peaks[0]
