import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusenet_jax.clips.faces.alignment import (
  EYES_APART,
  EYES_CENTRE,
  centre,
  from_eyes,
  warp,
  whole_frame,
)
from tests.data_prep.trees import draw_frame


@settings(deadline=None, max_examples=30)
@given(
  x=st.floats(100, 500),
  y=st.floats(100, 400),
  apart=st.floats(30, 300),
  angle=st.floats(-0.5, 0.5),
)
def test_eyes_land_in_their_place(x, y, apart, angle):
  half = apart / 2 * np.array([np.cos(angle), np.sin(angle)])
  left, right = np.array([x, y]) - half, np.array([x, y]) + half
  matrix = from_eyes(left, right, 224)
  moved = [matrix[:, :2] @ eye + matrix[:, 2] for eye in (left, right)]
  np.testing.assert_allclose(
    (moved[0] + moved[1]) / 2, np.array(EYES_CENTRE) * 224 - 0.5, atol=1e-6
  )
  np.testing.assert_allclose(moved[1] - moved[0], [EYES_APART * 224, 0], atol=1e-6)


def blob(x: float, y: float, width: int, height: int, sigma: float = 6.0):
  """A Gaussian spot at sub-pixel (x, y), float32 (height, width)."""
  rows, columns = np.mgrid[:height, :width]
  squared = (columns - x) ** 2 + (rows - y) ** 2
  return np.exp(-squared / (2 * sigma**2)).astype(np.float32)


def centre_of(image):
  rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
  return np.array([(columns * image).sum(), (rows * image).sum()]) / image.sum()


@pytest.mark.parametrize("apart", [20.0, 57.0, 110.0, 251.0])
def test_warp_is_sub_pixel_whether_it_shrinks_or_grows(apart):
  """A spot between pixels lands where the matrix says, to 1/50 pixel."""
  left, right = np.array([150.3, 200.0]), np.array([150.3 + apart, 208.0])
  matrix = from_eyes(left, right, 112)
  for spot in [(150.3 + apart / 2, 204.0), (150.8 + apart / 2, 204.4)]:
    crop = warp(blob(*spot, 600, 420), matrix, 112)
    expected = matrix[:, :2] @ spot + matrix[:, 2]
    np.testing.assert_allclose(centre_of(crop), expected, atol=0.02)


def test_shrinking_does_not_alias():
  """The finest stripes average to grey instead of turning into coarse ones."""
  stripes = np.zeros((900, 900), np.float32)
  stripes[:, ::2] = 255
  crop = warp(stripes, from_eyes([300.0, 340.0], [600.0, 340.0], 64), 64)
  assert np.abs(crop - 127.5).max() < 13
  naive = cv2.warpAffine(stripes, from_eyes([300.0, 340], [600.0, 340], 64), (64, 64))
  assert np.abs(naive - 127.5).max() > 100


def test_cropped_faces_are_only_resized():
  frame = draw_frame(0, 96, 96)
  alignment = whole_frame(frame, 48)
  assert alignment.aligned
  expected = cv2.resize(frame, (48, 48), interpolation=cv2.INTER_AREA)
  np.testing.assert_array_equal(warp(frame, alignment.matrix, 48), expected)


def test_oblong_crop_keeps_its_shape():
  alignment = whole_frame(np.zeros((100, 80, 3), np.uint8), 50)
  assert alignment.matrix[0, 0] == alignment.matrix[1, 1] == 0.5
  np.testing.assert_allclose(alignment.matrix @ [39.5, 49.5, 1], [24.5, 24.5])


def test_the_centre_is_cropped_as_a_square():
  alignment = centre(np.full((120, 160, 3), 90, np.uint8), 60)
  assert (alignment.found, alignment.aligned) == ("centre", False)
  np.testing.assert_allclose(alignment.matrix @ [79.5, 59.5, 1], [29.5, 29.5])
  np.testing.assert_allclose(alignment.matrix @ [19.5, -0.5, 1], [-0.5, -0.5])
