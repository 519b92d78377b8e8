"""A face is followed: where it goes, while it is there, and only that one."""

import dataclasses

import cv2
import numpy as np
import pytest

from data_prep.simulator.camera.exposure import Exposure
from data_prep.simulator.camera.nuisance import draw_nuisance
from data_prep.simulator.camera.sensor import CAMERAS
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.camera.warp import Pose
from infusenet_jax.predict.findings import REGIONS
from infusenet_jax.predict.watch.motion import POINTS, SIZE
from infusenet_jax.predict.watch.track import Tracker, follow

FPS = 20.0
EYES = np.array([[-0.5, 0.0], [0.5, 0.0]])


@pytest.fixture(scope="module")
def person() -> tuple[np.ndarray, np.ndarray]:
  """A picture (240, 320, 3) of a simulated face, and its eyes (2, 2)."""
  camera = dataclasses.replace(
    CAMERAS["casme2"], width=320, height=240, scale=1.0, eyes=46
  )
  studio = Studio("casme2", 3, 0, camera)
  rng = np.random.default_rng(0)
  still = np.zeros((346, 252), np.float32)
  picture = Exposure(studio, Pose()).picture(
    draw_nuisance(rng, camera, 0.0), 0.0, Pose(), None, still, rng
  )
  neutral = studio.warp.neutral(Pose())
  eyes = np.stack([studio.warp.locate(neutral, x, y) for x, y in EYES])
  return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), eyes


def moved(picture: np.ndarray, right: float, down: float) -> np.ndarray:
  matrix = np.float32([[1, 0, right], [0, 1, down]])
  size = picture.shape[1::-1]
  return cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)


def see(tracker: Tracker, pictures):
  return [tracker.see(n, n / FPS, picture) for n, picture in enumerate(pictures)]


def test_the_head_is_followed(person):
  picture, eyes = person
  shifts = [(3 * n, -1.5 * n) for n in range(16)]
  seen = see(Tracker(), [moved(picture, *shift) for shift in shifts])
  apart = np.linalg.norm(eyes[1] - eyes[0])
  for frame, shift in zip(seen, shifts, strict=True):
    off = np.linalg.norm(frame.face.eyes - eyes - shift, axis=1)
    assert off.max() < 0.06 * apart
    box = frame.face.box
    assert (box[:2] < frame.face.eyes.min(0)).all()
    assert (box[:2] + box[2:] > frame.face.eyes.max(0)).all()
  # From one frame to the next it does not jitter, as detections do.
  steps = np.diff([frame.face.eyes.mean(0) for frame in seen], axis=0)
  assert np.abs(steps - (3, -1.5)).max() < 0.35


def test_crops_stay_alike_while_the_head_moves(person):
  picture, _ = person
  seen = see(Tracker(), [moved(picture, 2.0 * n, n) for n in range(16)])
  assert [frame.fresh for frame in seen] == [True] + 15 * [False]
  crops = np.stack([frame.crop for frame in seen]).astype(float)
  assert crops.shape == (16, SIZE, SIZE)
  face = crops[:, 20:90, 25:87]
  assert np.abs(face - face[0]).mean() < 9


def test_a_face_that_leaves_is_lost_and_found_when_it_comes_back(person):
  picture, eyes = person
  wall = np.full_like(picture, 120)
  pictures = [picture] * 6 + [wall] * 12 + [moved(picture, 40, 10)] * 22
  seen = see(Tracker(), pictures)
  there = np.array([frame.face is not None for frame in seen])
  assert there[:6].all() and not there[6:18].any()
  assert there[-6:].all()
  came = int(np.nonzero(there[18:])[0][0]) + 18
  assert seen[came].fresh
  np.testing.assert_allclose(seen[-1].face.eyes, eyes + np.array([40, 10]), atol=3)


def test_the_largest_or_the_nth_face(person):
  picture, eyes = person
  half = cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
  both = np.full((240, 600, 3), 120, np.uint8)
  both[: half.shape[0], : half.shape[1]] = half
  both[:, 280:] = picture
  for wanted, where in ((0, eyes + np.array([280, 0])), (1, 0.7 * eyes)):
    tracker = Tracker(wanted)
    seen = see(tracker, [both] * 14)
    assert tracker.faces == 2
    for frame in seen:
      np.testing.assert_allclose(frame.face.eyes, where, atol=4)
  nobody = Tracker(2)
  assert all(frame.face is None for frame in see(nobody, [both] * 3))
  assert nobody.faces == 2


def test_one_of_two_stays_the_same_when_the_other_grows(person):
  picture, eyes = person
  small = cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
  pictures = []
  for right in (small, picture):
    both = np.full((240, 640, 3), 120, np.uint8)
    both[:, :320] = cv2.resize(picture, (320, 240))
    both[: right.shape[0], 320 : 320 + right.shape[1]] = right
    pictures += [both] * 14
  pictures = [moved(p, 0.1, 0) for p in pictures]
  for frame in see(Tracker(), pictures):
    np.testing.assert_allclose(frame.face.eyes, eyes, atol=4)


def test_rows_of_frames_with_and_without_a_face(person):
  picture, _ = person
  wall = np.full_like(picture, 120)
  pictures = [picture] * 5 + [wall] * 4
  frames, faces = follow((n + 7, n / FPS, p) for n, p in enumerate(pictures))
  assert faces == 1 and len(frames) == 9
  assert frames.number.tolist() == list(range(7, 16))
  assert frames.success.tolist() == [True] * 5 + [False] * 4
  for values in (frames.confidence, frames.box, frames.eyes, frames.motion):
    assert np.isfinite(values[:5]).all() and np.isnan(values[5:]).all()
  assert frames.motion.shape == (9, len(REGIONS))
  assert frames.path.shape == (9, len(POINTS), 2)
  assert np.nanmax(frames.motion) < 0.05  # Nothing moved.


def test_no_frames_and_no_faces():
  frames, faces = follow([])
  assert len(frames) == 0 and faces == 0
  wall = np.full((96, 128, 3), 120, np.uint8)
  frames, faces = follow([(0, 0.0, wall), (1, 0.04, wall)])
  assert faces == 0 and not frames.success.any() and np.isnan(frames.path).all()
