import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusenet_jax.clips.faces import (
  EYES_APART,
  EYES_CENTRE,
  FaceDetector,
  from_eyes,
  warp,
  whole_frame,
)
from infusenet_jax.runtime.errors import UserError
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


def test_without_a_face_the_centre_is_cropped():
  alignment = FaceDetector().align(np.full((120, 160, 3), 90, np.uint8), 60)
  assert (alignment.found, alignment.aligned) == ("centre", False)
  np.testing.assert_allclose(alignment.matrix @ [79.5, 59.5, 1], [29.5, 29.5])


def draw_face(width, height, centre, apart, angle):
  """A cartoon face that the Haar cascades find; its eyes are `apart` pixels apart."""
  image = np.full((height, width), 200, np.float32)
  rows, columns = np.mgrid[:height, :width].astype(np.float32)
  x = (columns - centre[0]) * np.cos(angle) + (rows - centre[1]) * np.sin(angle)
  y = -(columns - centre[0]) * np.sin(angle) + (rows - centre[1]) * np.cos(angle)
  x, y = x / apart, y / apart

  def spot(cx, cy, rx, ry, value):
    inside = np.exp(-((((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2) ** 4))
    image[:] = image * (1 - inside) + value * inside

  spot(0, 0.45, 1.25, 1.75, 60)  # Hair.
  spot(0, 0.65, 1.0, 1.45, 185)  # Face.
  for side in (-0.5, 0.5):
    spot(side, -0.02, 0.33, 0.22, 120)  # Socket.
    spot(side, -0.32, 0.33, 0.07, 60)  # Brow.
    spot(side, 0.0, 0.2, 0.1, 235)
    spot(side, 0.0, 0.1, 0.1, 20)
  spot(0, 0.5, 0.16, 0.35, 200)  # Nose.
  spot(0, 0.78, 0.2, 0.06, 110)
  spot(0, 1.2, 0.38, 0.09, 90)  # Mouth.
  image = cv2.GaussianBlur(image, (0, 0), apart / 40)
  return np.repeat(image.astype(np.uint8)[..., None], 3, -1)


@pytest.mark.parametrize("width", [640, 1280])
@pytest.mark.parametrize("angle", [0.0, 0.12])
def test_eyes_of_a_face_are_found_at_any_resolution(width, angle):
  height, apart = width * 3 // 4, width * 0.13
  centre = np.array([width * 0.47, height * 0.42])
  frame = draw_face(width, height, centre, apart, angle)
  alignment = FaceDetector().align(frame, 224)
  assert alignment.found == "eyes"
  half = apart / 2 * np.array([np.cos(angle), np.sin(angle)])
  for eye, sign in ((centre - half, -1), (centre + half, 1)):
    found = alignment.matrix @ [*eye, 1]
    expected = np.array(EYES_CENTRE) * 224 - 0.5 + [sign * EYES_APART * 112, 0]
    assert np.linalg.norm(found - expected) < 0.05 * 224


def test_missing_or_wrong_face_model(tmp_path):
  with pytest.raises(UserError, match="no such file"):
    FaceDetector(tmp_path / "yunet.onnx")
  (tmp_path / "yunet.onnx").write_bytes(b"not a model")
  with pytest.raises(UserError, match="cannot load it"):
    FaceDetector(tmp_path / "yunet.onnx")


class FakeYuNet:
  """Answers as OpenCV's FaceDetectorYN does: rows of x, y, w, h, 5 points, score."""

  def __init__(self, faces):
    self.faces = faces

  def setInputSize(self, size):
    assert size == (640, 360)

  def detect(self, image):
    assert image.shape == (360, 640, 3)
    return 1, self.faces


def test_yunets_eyes_are_used_in_either_order(monkeypatch, tmp_path):
  (tmp_path / "yunet.onnx").write_bytes(b"model")
  small = np.array([[1, 1, 9, 9, *[5, 5] * 5, 0.9], [*[0] * 15]], np.float32)
  small[1, :8] = 200, 100, 150, 150, 320, 160, 240, 150
  for faces, found in ((small, "eyes"), (None, "centre")):
    fake = FakeYuNet(faces)
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_, fake=fake: fake)
    detector = FaceDetector(tmp_path / "yunet.onnx")
    alignment = detector.align(np.zeros((1080, 1920, 3), np.uint8), 224)
    assert alignment.found == found
    if found == "eyes":
      expected = from_eyes(np.array([720, 450]), np.array([960, 480]), 224)
      np.testing.assert_allclose(alignment.matrix, expected)


def test_face_without_eyes_is_framed_by_its_box(monkeypatch):
  monkeypatch.setattr(FaceDetector, "_find_eyes", lambda *_: None)
  frame = draw_face(640, 480, (300, 200), 83, 0.0)
  alignment = FaceDetector().align(frame, 224)
  assert (alignment.found, alignment.aligned) == ("face", True)
  assert alignment.matrix[1, 0] == 0  # No rotation.
  middle = alignment.matrix @ [300, 200, 1]
  assert np.linalg.norm(middle - np.array(EYES_CENTRE) * 224) < 0.12 * 224
