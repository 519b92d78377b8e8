import dataclasses
import sys
import types

import cv2
import numpy as np
import pytest

from infusenet_jax.benchmark import face_accuracy
from infusenet_jax.runtime.errors import UserError


def simulation(root):
  """Grace Hopper in the place of a simulated database's only clip."""
  ((picture, marked),) = face_accuracy.find_photographs(None).values()
  (root / "CASME II").mkdir(parents=True)
  cv2.imwrite(str(root / "CASME II/img1.png"), picture)
  (root / "truth/casme2").mkdir(parents=True)
  truth = {"eyes": marked[0], "onset": "CASME II/img1.png"}
  np.savez(root / "truth/casme2/01_EP01.npz", **truth)


def run(monkeypatch, capsys, *args):
  monkeypatch.setattr(sys, "argv", ["face_accuracy", *map(str, args)])
  threads = cv2.getNumThreads()
  try:
    face_accuracy.main()
  finally:
    cv2.setNumThreads(threads)
  return capsys.readouterr().out


def test_the_command_measures_what_is_at_hand(tmp_path, monkeypatch, capsys):
  simulation(tmp_path)
  monkeypatch.setattr(face_accuracy, "SCALES", (0.5, 1.0))
  said = run(monkeypatch, capsys, "--simulated", tmp_path)
  assert "not at hand, left out: 0-f1-su-ph.jpg" in said
  rows = [line.rsplit(None, 6) for line in said.splitlines()]
  rows = {row[0]: row[1:] for row in rows if len(row) == 7 and row[-1].isdigit()}
  assert rows["x 0.5, 35 degrees"][:2] == ["2", "2"]
  assert rows["all"][:2] == rows["grace_hopper.jpg"][:2] == ["10", "10"]
  assert rows["casme2"][:2] == ["1", "1"]
  assert rows["all, 20 degrees"][:2] == ["2", "2"]
  assert 0 < float(rows["all"][2]) < float(rows["all"][3]) < 5
  assert "CPU time of one thread" in said


@dataclasses.dataclass
class FakeDetector:
  """Finds faces whose eyes are where they are told to be."""

  eyes: list

  def find(self, frame):
    return [types.SimpleNamespace(eyes=np.array(pair, float)) for pair in self.eyes]


def test_errors_are_those_of_the_nearest_face_in_eye_distances():
  eyes = np.array([[[100.0, 50], [140, 50]], [[300, 50], [340, 50]]])
  detector = FakeDetector([[[300, 52], [341, 50]], [[90, 50], [140, 50.0]]])
  first, second = face_accuracy.eye_errors(detector, None, eyes)
  assert np.isnan(first).all()  # Off by a quarter of the distance: missed.
  np.testing.assert_allclose(second, [2 / 40, 1 / 40])
  assert face_accuracy._row("x", [first, second]) == ["x", 2, 1, "3.8", "5.0", "5.0", 0]
  detector = FakeDetector([])
  (missed,) = face_accuracy.eye_errors(detector, None, eyes[:1])
  assert face_accuracy._row("x", [missed]) == ["x", 1, 0, "-", "-", "-", 0]


@pytest.mark.parametrize("degrees", [0, 20, -35])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_marks_turn_with_the_picture(degrees, scale):
  picture = np.zeros((120, 160, 3), np.uint8)
  eyes = np.array([[[40.0, 60], [100, 50]]])
  for x, y in eyes[0].astype(int):
    picture[y - 2 : y + 3, x - 2 : x + 3] = 255
  frame, there = face_accuracy.turned(picture, eyes, degrees, scale)
  dx, dy = there[0, 1] - there[0, 0]
  angle = np.degrees(np.arctan2(dy, dx) - np.arctan2(-10, 60))
  assert angle == pytest.approx(degrees)
  assert np.hypot(dx, dy) == pytest.approx(scale * np.hypot(60, 10))
  count, _, _, centres = cv2.connectedComponentsWithStats(
    (frame[..., 0] > 100).astype(np.uint8)
  )
  assert count == 3
  for eye in there[0]:
    assert np.linalg.norm(centres[1:] - eye, axis=1).min() < 0.5


def test_other_files_and_old_simulations_are_refused(tmp_path, monkeypatch, capsys):
  (tmp_path / "photographs").mkdir()
  (tmp_path / "photographs/astronaut.png").write_bytes(b"somebody else")
  with pytest.raises(UserError, match=r"astronaut.png: has SHA-256 .* put that file"):
    run(monkeypatch, capsys, "--photographs", tmp_path / "photographs")
  with pytest.raises(UserError, match="no simulated databases; write some with"):
    next(face_accuracy.simulated(tmp_path))
  (tmp_path / "truth/casme2").mkdir(parents=True)
  np.savez(tmp_path / "truth/casme2/01_EP01.npz", moving=np.zeros(3))
  with pytest.raises(UserError, match="does not say where the eyes are"):
    next(face_accuracy.simulated(tmp_path))
