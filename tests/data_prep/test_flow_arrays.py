"""Licensees' arrays of flow: what is checked of them, and records made of them."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from data_prep.databases.database import open_database
from data_prep.flow_arrays import NAMES, SUFFIX, open_flow_array
from infusenet_jax.clips.prepared import require_frames
from infusenet_jax.clips.records import load_clips
from infusenet_jax.runtime.errors import UserError
from tests.data_prep.builds import SIZE
from tests.data_prep.trees import CASME3A_HEADER, write_workbook


@pytest.fixture
def root(tmp_path):
  """CAS(ME)^3 with a workbook of 24 clips, of which two do not move; no frames."""
  rows = [
    [
      "spNO.1",
      f"{'abcdefghijklmnopqrstuvwxyz'[i]}",
      100,
      100 if i in (5, 17) else 108,
      120,
      "4",
    ]
    for i in range(24)
  ]
  width = len(CASME3A_HEADER) - len(rows[0])
  rows = [row + ["x"] * width for row in rows]
  write_workbook(
    tmp_path / "root" / "CAS(ME)^3" / "annotation.xlsx", [CASME3A_HEADER, *rows]
  )
  return tmp_path / "root"


@pytest.fixture
def clips(root):
  folder = next(root.iterdir())
  found = open_database("casme3a", folder, needs_frames=False)
  assert found.clips == [] and len(found.listed) == 24
  return found.listed


def smooth(seed, size=40):
  """(3, size, size) of a motion like a clip's, each channel in [0, 1]."""
  noise = np.random.default_rng(seed).random((3, size, size))
  noise = np.stack([cv2.GaussianBlur(x, (0, 0), 4) for x in noise])
  low, high = noise.min((1, 2), keepdims=True), noise.max((1, 2), keepdims=True)
  return (noise - low) / (high - low)


def rows_of(clips):
  still = [clip.apex == clip.onset for clip in clips]
  return np.stack(
    [np.full((3, 40, 40), np.nan) if s else smooth(i) for i, s in enumerate(still)]
  )


def save(folder, rows):
  folder.mkdir(exist_ok=True)
  path = folder / (NAMES["casme3a"] + SUFFIX)
  np.save(path, rows)
  return path


def test_records_of_flow_alone(root, clips, tmp_path, command):
  rows = rows_of(clips)
  save(tmp_path / "arrays", rows)
  line = ("build", "--root", root, "--out", tmp_path / "out", f"--size={SIZE}")
  line += ("--databases=casme3a", "--flow-arrays", tmp_path / "arrays")
  status, output, lines = command(*line)
  assert status == 1, lines  # Other counts than published.
  text = "\n".join([output, *lines])
  assert "the 2 clips whose apex is their onset are where they should be" in text
  assert "24 of 24" in text
  folder = tmp_path / "out" / "casme3a" / "1.0.0"
  metadata = json.loads((folder / "metadata.json").read_text())
  assert (metadata["flow"], metadata["strain"]) == ("arrays", "arrays")
  assert metadata["frames"] is False
  with pytest.raises(UserError, match=r"flow and no frames, which config\.model"):
    require_frames(tmp_path / "out")
  # Resized after it was scaled, and not scaled again.
  loaded = load_clips(tmp_path / "out", 32)
  assert not loaded.onset.any()
  expected = cv2.resize(np.moveaxis(rows[3], 0, -1), (SIZE, SIZE))
  expected = cv2.resize(expected, (32, 32), interpolation=cv2.INTER_AREA)
  np.testing.assert_allclose(loaded.flow[3], expected, atol=2e-3)
  assert loaded.flow[3].max() < 1
  assert not loaded.flow[5].any()
  again, _, _ = command(*line)
  assert again == 1


@pytest.mark.parametrize(
  "change, message",
  [
    (lambda x: x[:-1], r"23 rows, but the annotations have 24 usable clips"),
    (lambda x: x[::-1], r"row 5 \(.*\): is motion, expected none"),
    (lambda x: np.nan_to_num(x) * 2, r"row 0 .*u is in \[0, 2\]; expected it scaled"),
    (lambda x: np.where(np.isnan(x), 0, x) * (x > 0.5), None),
    (lambda x: x[:, :2], r"float64 \(24, 2, 40, 40\); expected real numbers"),
    (lambda x: np.nan_to_num(x).astype(np.uint8), r"uint8.*expected real numbers"),
    (lambda x: np.where(x == 1, np.inf, x), r"row 0 .*values that are not finite"),
  ],
)
def test_arrays_that_cannot_be_theirs_are_refused(clips, tmp_path, change, message):
  save(tmp_path / "arrays", change(rows_of(clips)))
  if message is None:  # Still within [0, 1].
    open_flow_array(tmp_path / "arrays", "casme3a", clips)
    return
  with pytest.raises(UserError, match=message):
    open_flow_array(tmp_path / "arrays", "casme3a", clips)


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00junk"])
def test_a_file_that_is_no_array_is_named(clips, tmp_path, content):
  path = save(tmp_path / "arrays", np.zeros(1))
  path.write_bytes(content)
  with pytest.raises(UserError, match=r"casme3_uv_.*npy: not a readable \.npy file"):
    open_flow_array(tmp_path / "arrays", "casme3a", clips)


def test_a_folder_without_the_file_is_named(clips, tmp_path):
  with pytest.raises(UserError, match=r"--flow-arrays .*: no file casme3_uv_frames"):
    open_flow_array(tmp_path, "casme3a", clips)


def test_the_order_is_checked_by_flow_measured_here(clips, tmp_path):
  moving = [dataclasses.replace(clip, apex=clip.onset + 8) for clip in clips]
  rows = rows_of(moving)
  save(tmp_path / "arrays", rows)
  array = open_flow_array(tmp_path / "arrays", "casme3a", moving)
  assert "could not be checked but for their number" in array.order
  chosen = array.compared(moving)
  assert len(chosen) == 20 and chosen[0] is moving[0] and chosen[-1] is moving[-1]
  rng = np.random.default_rng(0)
  measured = [
    (clip, np.moveaxis(3 * smooth(moving.index(clip)) - 1, 0, -1)) for clip in chosen
  ]
  # Another method, other crops: alike, not equal.
  measured = [(clip, f + rng.normal(0, 0.3, f.shape)) for clip, f in measured]
  assert "order checked, 20 of 20 rows" in array.check_order(measured)
  shuffled = [
    (clip, flow)
    for (clip, _), (_, flow) in zip(measured, measured[1:] + measured[:1], strict=True)
  ]
  with pytest.raises(UserError, match=r"only 0 of 20 rows .*not in the order"):
    array.check_order(shuffled)
  assert "3 clips are too few" in array.check_order(shuffled[:3])
