"""One face, held in its place."""

import numpy as np
import pytest

from infusenet_jax.clips.faces.alignment import EYES_APART, EYES_CENTRE
from infusenet_jax.predict.magnify.steady import SteadyFace, smooth_eyes
from infusenet_jax.predict.watch.track import follow
from infusenet_jax.predict.watch.video import open_footage
from infusenet_jax.runtime.errors import UserError
from tests.predict.films import SIDE, face, wall
from tests.predict.reports import make_frames, without_face


def moved(shift: float) -> np.ndarray:
  """The photograph, shifted as a whole to the right."""
  import cv2

  matrix = np.float32([[1, 0, shift], [0, 1, 0]])
  how = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
  return cv2.warpAffine(face(), matrix, (SIDE, SIDE), **how)


def test_a_head_that_moves_stands_still():
  film = [moved(0.5 * n) for n in range(16)]
  footage = open_footage(film, 50)
  frames, _ = follow(footage)
  steady = SteadyFace(footage, frames)
  pictures = [frame.image.astype(int) for frame in steady]
  assert [p.shape for p in pictures] == [(steady.size, steady.size, 3)] * 16
  apart = np.median(np.linalg.norm(frames.eyes[:, 1] - frames.eyes[:, 0], axis=-1))
  assert steady.size == pytest.approx(apart / EYES_APART, abs=2)
  inside = slice(steady.size // 4, -steady.size // 4)
  still = [np.abs(p - pictures[8])[inside, inside].mean() for p in pictures]
  there = [np.abs(f.astype(int) - film[8])[60:130, 60:130].mean() for f in film]
  assert max(still) < 0.35 * max(there)


def test_eyes_are_smooth_and_known_everywhere():
  frames = without_face(make_frames(100), slice(40, 50))
  rng, centre = np.random.default_rng(0), np.array(EYES_CENTRE)
  truth = 100 * centre + np.array([[-30, 0], [30, 0]])
  frames.eyes[frames.success] = truth + rng.normal(0, 1, (90, 2, 2))
  raw, smooth = smooth_eyes(frames, 0), smooth_eyes(frames)
  np.testing.assert_array_equal(raw[frames.success], frames.eyes[frames.success])
  assert np.isfinite(smooth).all()
  assert (smooth - truth).std() < 0.5 * (raw - truth).std()


def test_no_face():
  footage = open_footage([wall()] * 3, 50)
  frames, _ = follow(footage)
  with pytest.raises(UserError, match="no face was found, which --face needs"):
    SteadyFace(footage, frames)
