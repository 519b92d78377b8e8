"""The table of alignments: what it holds, what deserves a look, and reading it back."""

import csv
import types
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import pytest

from data_prep.alignments import (
  HEADER,
  MOST_LINES,
  AlignmentTable,
  read_landmarks,
  what_to_look_at,
)
from data_prep.crops import stream_crops
from data_prep.databases.database import open_database
from data_prep.inspect import CELL, MARK, _row
from infusenet_jax.clips.faces.alignment import (
  EYES_APART,
  EYES_CENTRE,
  Alignment,
  Face,
  centre,
  from_eyes,
  whole_frame,
)
from infusenet_jax.clips.faces.detector import FaceDetector
from infusenet_jax.runtime.errors import UserError
from tests.data_prep.trees import draw_frame, write_casme2


def aligned(apart=80.0, degrees=0.0, confidence=0.99):
  """An alignment by a face whose nose is right below the eyes' middle."""
  angle = np.radians(degrees)
  turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
  upright = [[-0.5, 0], [0.5, 0], [0, 0.6], [-0.4, 1.1], [0.4, 1.1]]
  landmarks = apart * np.array(upright) @ turn.T + (300.25, 200.5)
  face = Face(np.array([200.0, 100, 200, 240]), confidence, landmarks)
  return Alignment(from_eyes(*face.eyes, 224), 224, "eyes", face)


def clip(name="EP01", subject="01"):
  return types.SimpleNamespace(database="casme2", subject=subject, name=name)


@pytest.mark.parametrize(
  "alignment, reason",
  [
    (aligned(), ""),
    (aligned(degrees=24), ""),
    (aligned(degrees=-26.4), "head turned by -26 degrees"),
    (aligned(apart=40), ""),
    (aligned(apart=38), "small face, 38 pixels between the eyes"),
    (aligned(confidence=0.85), "face uncertain, confidence 0.85"),
    (
      aligned(apart=30, degrees=40),
      "head turned by 40 degrees, small face, 30 pixels between the eyes",
    ),
    (centre(draw_frame(0, 160, 120), 64), "no face found, centre crop"),
    (whole_frame(draw_frame(0), 64), ""),
  ],
)
def test_what_deserves_a_look(alignment, reason):
  assert what_to_look_at(alignment) == reason


def test_a_table_written_and_read_back(tmp_path):
  table = AlignmentTable()
  table.add(clip(), Path("img1.jpg"), aligned(degrees=30))
  table.add(clip("EP02"), Path("img2.jpg"), whole_frame(draw_frame(0), 64))
  table.add(clip("=1+1", "@x"), Path("img3.jpg"), aligned())
  table.write(tmp_path)
  with open(tmp_path / "alignment.csv", newline="") as stream:
    header, turned, cropped, formula = csv.reader(stream)
  assert tuple(header) == HEADER
  turned = dict(zip(header, turned, strict=True))
  assert (turned["subject"], turned["clip"], turned["found"]) == ("01", "EP01", "eyes")
  assert (turned["angle"], turned["eye_distance"]) == ("30.0", "80.0")
  assert (turned["confidence"], turned["look"]) == (
    "0.990",
    "head turned by 30 degrees",
  )
  left = [float(turned["left_eye_x"]), float(turned["left_eye_y"])]
  np.testing.assert_allclose(left, [300.25 - 34.641, 200.5 - 20], atol=0.006)
  assert cropped[2:] == ["cropped", *[""] * (len(HEADER) - 3)]
  assert formula[:2] == ["'@x", "'=1+1"]  # No spreadsheet runs it.
  found = read_landmarks(tmp_path, 200)
  assert set(found) == {("01", "EP01"), ("@x", "=1+1")}
  for points in found.values():
    middle = np.array(EYES_CENTRE) * 200 - 0.5
    half = EYES_APART * 100
    expected = [[-half, 0], [half, 0], [0, 0.6 * 2 * half]]
    np.testing.assert_allclose(points[:3] - middle, expected, atol=0.01)


def test_the_list_is_short_and_the_table_complete(tmp_path):
  table = AlignmentTable()
  for number in range(MOST_LINES + 3):
    frame = draw_frame(0, 160, 120)
    table.add(clip(f"EP{number}"), Path(f"img{number}.jpg"), centre(frame, 64))
  assert len(table.notes()) == MOST_LINES + 1
  assert table.notes()[0] == "casme2 01/EP0: img0.jpg: no face found, centre crop"
  assert table.notes()[-1].startswith("... and 3 more clips")
  table.write(tmp_path)
  assert (tmp_path / "alignment.csv").read_text().count("centre crop") == MOST_LINES + 3
  assert AlignmentTable().notes() == []


def test_without_a_table_or_with_a_wrong_one(tmp_path):
  assert read_landmarks(tmp_path, 200) == {}
  for junk in ("a,b\n1,2\n", f"{','.join(HEADER)}\n1,2,eyes,x,y\n"):
    (tmp_path / "alignment.csv").write_text(junk)
    with pytest.raises(UserError, match=r"alignment.csv: cannot be read") as raised:
      read_landmarks(tmp_path, 200)
    assert "\n" not in str(raised.value)


def test_landmarks_are_drawn_on_the_onset_alone():
  frame = np.full((64, 64, 3), 128, np.uint8)
  record = dict.fromkeys(("onset", "apex", "window_apex"), frame)
  record |= {"flow": np.zeros((64, 64, 3), np.float16), "labels": np.zeros(12)}
  record |= {"database": b"casme2", "subject": b"01", "clip": b"EP01", "aus": b""}
  record |= {"emotion": b"", "fps": 200.0, "aligned": True}
  record |= {f"{name}_frame": 1 for name in ("onset", "apex", "window_apex")}
  points = np.array([[50.0, 60], [120, 60], [88, 90], [60, 120], [110, 120]])
  row = _row(record, {("01", "EP01"): points, ("01", "EP02"): points + 9})
  marked = cv2.inRange(row, MARK, MARK)
  assert marked[:, CELL:].max() == 0
  count, _, _, centres = cv2.connectedComponentsWithStats(marked)
  assert count == 1 + len(points)
  np.testing.assert_allclose(
    sorted(centres[1:].tolist()), sorted(points.tolist()), atol=0.6
  )
  assert cv2.inRange(_row(record, {}), MARK, MARK).max() == 0


def test_a_real_face_is_aligned_and_one_that_is_too_small_left_out(tmp_path):
  rows = [[1, "EP01", 1, 3, 5, "4", "x"], [1, "EP02", 1, 3, 5, "4", "x"]]
  folder = write_casme2(tmp_path, rows, frames=False)
  sample = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
  for name, scale in (("EP01", 0.15), ("EP02", 0.4)):
    picture = cv2.imread(sample)
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=3)
    clip_folder = folder / "CASME2_RAW_selected/sub01" / name
    clip_folder.mkdir(parents=True)
    for number in (1, 3, 5):
      cv2.imwrite(str(clip_folder / f"img{number}.jpg"), picture)
  clips = open_database("casme2", folder).clips
  (_, refused), (_, crops) = stream_crops(clips, 64, FaceDetector, 4)
  assert "pixels high, expected at least 48" in str(refused)
  assert crops.alignment.found == "eyes"
  assert 30 < crops.alignment.face.eye_distance < 38
