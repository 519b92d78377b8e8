"""Spotting: bumps of half a second are found, everything else is not, at any rate."""

import numpy as np
import pytest

from infusenet_jax.predict.findings import REGIONS, Frames
from infusenet_jax.predict.watch.motion import POINTS, UPPER_LIDS
from infusenet_jax.predict.watch.spotting import LONGEST, spot

NAMES = [name for name, _, _ in POINTS]
CHIN = [i for i, name in enumerate(NAMES) if name == "chin"]
BROWS = [i for i, name in enumerate(NAMES) if name.startswith("brow")]
LIDS = list(UPPER_LIDS)
RATES = (25.0, 30.0, 60.0, 200.0)


def bump(seconds: np.ndarray, start: float, end: float) -> np.ndarray:
  """Eases to 1 in the middle and back."""
  t = np.clip((seconds - start) / (end - start), 0, 1)
  return 0.5 - 0.5 * np.cos(2 * np.pi * t)


def make_frames(
  fps: float = 60.0, length: float = 8.0, noise: float = 0.03, seconds=None
) -> Frames:
  """A face at rest, whose points are measured with a little noise."""
  rng = np.random.default_rng(0)
  seconds = np.arange(0, length, 1 / fps) if seconds is None else seconds
  count = len(seconds)
  return Frames(
    number=np.arange(count),
    seconds=seconds,
    success=np.ones(count, bool),
    confidence=np.ones(count),
    box=np.tile([20.0, 20, 60, 80], (count, 1)),
    eyes=np.tile([[40.0, 40], [80, 40]], (count, 1, 1)),
    motion=np.zeros((count, len(REGIONS))),
    path=rng.normal(0, noise, (count, len(POINTS), 2)).astype(np.float32),
  )


def expressions(frames: Frames):
  return [s for s in spot(frames) if s.kind == "expression"]


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("length", (0.25, 0.48))
def test_a_short_bump_is_found_in_its_place(fps, length):
  frames = make_frames(fps)
  frames.path[:, CHIN, 1] -= 1.2 * bump(frames.seconds, 4, 4 + length)[:, None]
  (found,) = expressions(frames)
  onset, apex, offset = frames.seconds[[found.onset, found.apex, found.offset]]
  step = 1 / fps
  assert onset == pytest.approx(4, abs=0.06 + step)
  assert apex == pytest.approx(4 + length / 2, abs=0.04 + step)
  assert offset == pytest.approx(4 + length, abs=0.06 + step)
  assert offset - onset <= LONGEST + 1e-6
  assert found.score == pytest.approx(1.2, rel=0.3)


def test_frame_rates_that_vary_do_not_matter():
  rng = np.random.default_rng(1)
  seconds = np.cumsum(rng.uniform(0.01, 0.035, 350))
  frames = make_frames(seconds=seconds)
  frames.path[:, CHIN, 1] -= 1.2 * bump(seconds, 4, 4.4)[:, None]
  (found,) = expressions(frames)
  assert seconds[found.onset] == pytest.approx(4, abs=0.08)
  assert seconds[found.offset] == pytest.approx(4.4, abs=0.08)


@pytest.mark.parametrize("fps", RATES)
def test_noise_alone_gives_nothing(fps):
  assert not spot(make_frames(fps, 30.0, noise=0.06))


def test_restless_points_raise_their_own_floor():
  frames = make_frames(length=30.0, noise=0.5)
  assert not spot(frames)


def test_what_lasts_longer_is_no_micro_expression():
  frames = make_frames()
  frames.path[:, CHIN, 1] -= 4 * bump(frames.seconds, 3, 4.5)[:, None]
  assert not spot(frames)


def test_what_goes_and_stays_is_none():
  frames = make_frames()
  frames.path[:, BROWS, 1] += 3 * np.clip((frames.seconds - 3) / 0.3, 0, 1)[:, None]
  assert not spot(frames)


def test_speech_is_none():
  frames = make_frames()
  t = frames.seconds
  waves = (np.abs(np.sin(2 * np.pi * 2.2 * t)) * ((t > 2) & (t < 5)))[:, None]
  frames.path[:, CHIN, 1] += 3 * waves
  assert not spot(frames)


@pytest.mark.parametrize("fps", RATES)
def test_a_blink_is_a_blink_and_no_expression(fps):
  frames = make_frames(fps)
  down = bump(frames.seconds, 4, 4.25)[:, None]
  frames.path[:, LIDS, 1] += 3 * down
  frames.path[:, BROWS, 1] += 2.5 * down  # Flow takes them along.
  (found,) = spot(frames)
  assert found.kind == "blink"
  assert frames.seconds[found.apex] == pytest.approx(4.125, abs=0.03 + 1 / fps)


def test_one_lid_is_no_blink():
  frames = make_frames()
  frames.path[:, LIDS[:1], 1] += 3 * bump(frames.seconds, 4, 4.25)[:, None]
  assert "blink" not in [s.kind for s in spot(frames)]


def test_lowered_brows_are_no_blink():
  frames = make_frames()
  down = bump(frames.seconds, 4, 4.4)[:, None]
  frames.path[:, BROWS, 1] += 3 * down
  frames.path[:, LIDS, 1] += 1 * down
  assert [s.kind for s in spot(frames)] == ["expression"]


def test_a_mouth_moves_during_a_blink_and_is_found():
  frames = make_frames()
  frames.path[:, LIDS, 1] += 3 * bump(frames.seconds, 4, 4.25)[:, None]
  frames.path[:, CHIN, 1] -= 1.5 * bump(frames.seconds, 4, 4.4)[:, None]
  assert sorted(s.kind for s in spot(frames)) == ["blink", "expression"]


def test_a_turning_head_raises_the_floor():
  frames = make_frames()
  frames.path[:, CHIN, 0] += 1.0 * bump(frames.seconds, 4, 4.4)[:, None]
  assert expressions(frames)
  turned = np.clip((frames.seconds - 3.8) / 0.8, 0, 1)
  frames.eyes[:] += 16 * turned[:, None, None]
  assert not expressions(frames)


def test_nothing_is_compared_across_a_lost_face():
  frames = make_frames()
  lost = (frames.seconds > 4) & (frames.seconds < 5)
  frames.success[lost] = False
  frames.path[lost] = np.nan
  frames.eyes[lost] = np.nan
  frames.path[frames.seconds >= 5] += 5
  frames.path[:, CHIN, 1] -= 1.5 * bump(frames.seconds, 6, 6.4)[:, None]
  (found,) = spot(frames)
  assert frames.success[found.onset : found.offset + 1].all()
  assert frames.seconds[found.apex] == pytest.approx(6.2, abs=0.05)


@pytest.mark.parametrize("count", (0, 1, 3, 8))
def test_very_short_videos_give_nothing(count):
  assert not spot(make_frames(seconds=np.arange(count) / 30))


def test_frames_that_were_not_followed_are_refused():
  frames = make_frames()
  with pytest.raises(ValueError, match="path is None"):
    spot(Frames(**{**vars(frames), "path": None}))
