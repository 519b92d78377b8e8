"""What happens in long videos: planned by a seed, apart, and as long as it says."""

import itertools

import numpy as np
import pytest

from data_prep.simulator.long.story import KINDS, MICRO, RATES, plan_stories


@pytest.fixture(scope="module")
def stories():
  return plan_stories(16, 40.0, RATES, 0)


def test_the_same_seed_tells_the_same_stories(stories):
  assert plan_stories(16, 40.0, RATES, 0) == stories
  assert plan_stories(16, 40.0, RATES, 1) != stories
  assert plan_stories(4, 40.0, RATES, 0) == stories[:4]


def test_half_the_videos_hold_micro_expressions_and_still_ones_light_alone(
  stories,
):
  kinds = [story.kind for story in stories]
  assert [kinds.count(kind) for kind in KINDS] == [8, 4, 4]
  for story in stories:
    shown = {event.kind for event in story.events}
    assert ("micro" in shown) == (story.kind == "expressions")
    if story.kind == "still":
      assert shown == {"light"}
    else:
      assert {"blink", "light"} <= shown
  every = {event.kind for story in stories for event in story.events}
  assert every == {"micro", "macro", "blink", "speech", "turn", "light"}


def test_every_rate_is_used(stories):
  assert {story.fps for story in stories} == set(RATES)
  assert all(story.count == round(40 * story.fps) for story in stories)
  assert len({story.name for story in stories}) == len(stories)


def test_micro_expressions_last_half_a_second_at_most_and_larger_ones_longer(stories):
  for story in stories:
    for event in story.events:
      length = event.end - event.start
      if event.kind == "micro":
        assert MICRO[0] <= length <= MICRO[1]
      if event.kind == "macro":
        assert length > 0.8
      if event.kind == "blink":
        assert 0.1 < length < 0.3


def test_the_face_does_one_thing_at_a_time(stories):
  for story in stories:
    face = [e for e in story.events if e.kind in ("micro", "macro", "speech", "turn")]
    for first, second in itertools.pairwise(face):
      assert second.start - first.end > 0.5
    assert all(0 <= e.start < e.apex < e.end <= 40 for e in face)


def test_frames_of_an_event_lie_in_it(stories):
  for story in stories:
    for event in story.events:
      onset, apex, offset = event.frames(story.fps)
      assert event.start <= onset / story.fps + 1e-9 and offset <= event.end * story.fps
      assert onset <= apex <= offset < story.count


def test_a_story_that_has_no_room_leaves_things_out():
  for story in plan_stories(12, 5.0, (25.0,), 3):
    assert all(event.end < 5.0 for event in story.events if event.kind != "light")
    assert np.isfinite([event.apex for event in story.events]).all()
