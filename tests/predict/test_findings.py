"""The plain arrays' own arithmetic."""

import dataclasses

import numpy as np
import pytest

from tests.predict.show.test_outputs import make_report


def frames_at(seconds):
  count = len(seconds)
  frames = make_report().frames
  fields = {
    field.name: np.resize(
      getattr(frames, field.name), (count, *np.shape(getattr(frames, field.name))[1:])
    )
    for field in dataclasses.fields(frames)
    if isinstance(getattr(frames, field.name), np.ndarray)
  }
  return dataclasses.replace(frames, **fields | {"seconds": np.array(seconds, float)})


def test_rate_of_time_stamps_that_are_rounded_to_milliseconds():
  seconds = np.round(np.arange(50) / 60, 3)
  assert frames_at(seconds).fps == pytest.approx(60, rel=0.01)


def test_a_gap_does_not_change_the_rate():
  seconds = np.concatenate([np.arange(20), 500 + np.arange(20)]) / 25
  assert frames_at(seconds).fps == pytest.approx(25)


def test_a_single_frame_has_no_rate():
  assert np.isnan(frames_at([0.0]).fps)


def test_of_two_steps_the_shorter_is_the_rates():
  assert frames_at([0.0, 0.04, 1.0]).fps == pytest.approx(25)
