"""The time line: what is thinned, where lines stop and how times are written."""

import base64

import numpy as np
import pytest

from infusenet_jax.predict.findings import REGIONS
from infusenet_jax.predict.show.timeline import clock, timeline
from tests.predict.reports import make_frames, make_report, without_face


def test_long_videos_are_thinned_and_keep_their_peaks():
  frames = make_frames(50_000)
  frames.motion[31_001, 3] = 77.0
  line = timeline(make_report(frames=frames, intervals=[]))
  assert line.samples.frames == 3
  motion = np.frombuffer(base64.b64decode(line.samples.motion), "<u2")
  motion = motion.reshape(len(REGIONS), -1)
  numbers = np.frombuffer(base64.b64decode(line.samples.number), "<i4")
  seconds = np.frombuffer(base64.b64decode(line.samples.seconds), "<f8")
  assert motion.shape[1] == len(numbers) == len(seconds) == 16_667
  peak = int(motion[3].argmax())
  assert motion[3, peak] == 7700
  assert numbers[peak] <= 31_001 < numbers[peak + 1]
  assert seconds[peak] == pytest.approx(numbers[peak] / 100)
  assert ",0L" in line.lanes[3].path and ",0L" not in line.lanes[4].path


def test_lines_stop_where_there_is_no_face():
  frames = without_face(make_frames(100), slice(40, 60))
  line = timeline(make_report(frames=frames, intervals=[]))
  assert all(lane.path.count("M") == 2 for lane in line.lanes)
  motion = np.frombuffer(base64.b64decode(line.samples.motion), "<u2")
  gaps = motion.reshape(len(REGIONS), -1) == 65535
  assert (gaps == ~frames.success).all()


@pytest.mark.parametrize(
  ("seconds", "digits", "words"),
  [
    (7.5, 1, "7.5 s"),
    (59.999, 2, "1:00.00"),
    (67.5, 1, "1:07.5"),
    (3605, 0, "1:00:05"),
    (7325.25, 2, "2:02:05.25"),
  ],
)
def test_a_time_as_people_write_it(seconds, digits, words):
  assert clock(seconds, digits) == words
