"""Records of miniature databases: what they hold, and what each bad thing costs."""

import dataclasses
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_prep import build as build_module
from data_prep.build import Options
from data_prep.crops import central_square, load_crops
from data_prep.databases.database import open_database
from data_prep.frame_reader import FrameReader
from data_prep.sources import open_root
from infusenet_jax.clips.faces.alignment import whole_frame
from infusenet_jax.clips.faces.detector import FaceDetector
from infusenet_jax.clips.flow.strain import optical_strain
from infusenet_jax.clips.labels import AUS, DATABASES
from tests.data_prep.builds import SIZE, build, files, records
from tests.data_prep.trees import draw_frame, write_all, write_casme2, write_clip


def crops_of(keys, detector=None):
  return load_crops(keys, SIZE, detector, FrameReader())


def labels(record):
  return {au for au, on in zip(AUS, record["labels"], strict=True) if on}


@pytest.fixture(scope="module")
def all_built(tmp_path_factory):
  folder = tmp_path_factory.mktemp("all")
  write_all(folder / "root")
  return folder, build(folder / "root", folder / "out", size=SIZE)


def test_six_layouts_become_records(all_built):
  folder, outcomes = all_built
  assert [outcome.key for outcome in outcomes] == list(DATABASES)
  for outcome in outcomes:
    assert (outcome.clips, outcome.problems, outcome.failure) == (2, [], "")
    assert outcome.taken[1].startswith("  workbook ")
    assert outcome.counts
  expected = {
    "casme": [{4, 9}, {1, 2}],
    "casme2": [{4, 7}, set()],
    "samm": [{12, 15}, {14}],
    "fourd": [{1}, {4, 7}],
    "mmew": [{4, 7}, {14}],
    "casme3a": [{4, 17}, set()],
  }
  for key, positives in expected.items():
    found = records(folder / "out", key)
    assert [labels(record) for record in found] == positives
    assert {record["database"].decode() for record in found} == {key}
  assert "tensorflow" not in sys.modules


def test_what_a_record_holds(all_built):
  folder, _ = all_built
  record = records(folder / "out", "casme2")[0]
  for name in ("onset", "apex", "window_apex"):
    assert record[name].shape == (SIZE, SIZE, 3)
    assert record[name].dtype == np.uint8
  # Red first, which OpenCV, that drew the frame, has last.
  drawn = draw_frame(0)[..., ::-1].astype(int)
  assert np.abs(record["onset"] - drawn).mean() < 5
  assert np.abs(record["onset"] - drawn[..., ::-1]).mean() > 10
  flow = record["flow"]
  assert flow.shape == (SIZE, SIZE, 3)
  assert flow.dtype == np.float16
  inner = flow[16:-16, 16:-16].astype(np.float32)
  np.testing.assert_allclose(inner[..., 0].mean(), 1.5, atol=0.6)
  np.testing.assert_allclose(inner[..., 1].mean(), 0, atol=0.2)
  strain = np.asarray(optical_strain(flow[None, ..., :2].astype(np.float32)))[0]
  np.testing.assert_allclose(flow[..., 2].astype(np.float32), strain, atol=5e-3)
  text = {k: record[k].decode() for k in ("aus", "emotion", "subject", "clip")}
  assert text == {
    "aus": "4+R7B",
    "emotion": "disgust",
    "subject": "01",
    "clip": "EP02_01f",
  }
  frames = [record[f"{name}_frame"] for name in ("onset", "apex", "offset")]
  assert frames == [46, 50, 56]
  assert record["fps"] == 200
  assert not record["aligned"]  # No face was looked for.


def test_apex_on_the_onset_and_repeated_names(all_built):
  folder, _ = all_built
  record = records(folder / "out", "casme3a")[1]
  assert record["clip"] == b"a2"
  assert (record["onset_frame"], record["apex_frame"]) == (400, 400)
  assert record["window_apex_frame"] == 401
  assert np.abs(record["flow"].astype(np.float32)).max() < 0.01


def test_metadata_of_licensed_records(all_built):
  folder, _ = all_built
  builder = tfds.builder_from_directory(str(folder / "out" / "casme2" / "1.0.0"))
  metadata = builder.info.metadata
  assert (metadata["simulated"], metadata["size"]) == (False, SIZE)
  assert metadata["source"] == {}
  assert metadata["faces"] == "none"
  counts = ("clips", "subjects", "published_clips", "published_subjects")
  assert [metadata[name] for name in counts] == [2, 2, 256, 26]
  assert "04/EP12_01f" in metadata["lacking"]
  assert metadata["counts"][0].startswith("casme2: 2 clips of 2 subjects, published")


def test_same_bytes_again_and_elsewhere(all_built, tmp_path):
  folder, _ = all_built
  shutil.copytree(folder / "root", tmp_path / "moved")
  build(tmp_path / "moved", tmp_path / "out", ["casme", "fourd"], size=SIZE)
  for key in ("casme", "fourd"):
    assert files(tmp_path / "out" / key) == files(folder / "out" / key)


def test_finished_databases_are_kept(all_built):
  folder, first = all_built
  before = files(folder / "out")
  again = build(folder / "root", folder / "out", size=SIZE)
  assert all(outcome.reused for outcome in again)
  assert [o.clips for o in again] == [o.clips for o in first]
  assert files(folder / "out") == before


def test_other_records_are_never_overwritten(tmp_path):
  write_casme2(tmp_path / "root")
  build(tmp_path / "root", tmp_path / "out", size=SIZE)
  before = files(tmp_path / "out")
  (outcome,) = build(tmp_path / "root", tmp_path / "out", size=96)
  assert "size (64 there, 96 now)" in outcome.failure
  assert "delete" in outcome.failure
  frame = tmp_path / "root/CASME II/CASME2_RAW_selected/sub01/EP02_01f/img46.jpg"
  cv2.imwrite(str(frame), draw_frame(3.0))
  (outcome,) = build(tmp_path / "root", tmp_path / "out", size=SIZE)
  assert "frames or annotations" in outcome.failure
  assert files(tmp_path / "out") == before


def test_simulated_databases_are_marked_and_not_fixed(tmp_path):
  rows = [[4, "EP12_01f", 1, 4, 300, "4", "x"]]  # The licensed clip's apex is 279.
  folder = write_casme2(tmp_path / "root", rows, frames=False)
  clip = folder / "CASME2_RAW_selected/sub04/EP12_01f"
  write_clip(clip, "img{}.jpg", 1, 4, 8)
  source = {"seed": 3, "scale": 0.1, "frames": "key"}
  (tmp_path / "root/SIMULATED.json").write_text(json.dumps(source))
  (outcome,) = build(tmp_path / "root", tmp_path / "out", size=SIZE)
  assert (outcome.name, outcome.fixes) == ("CASME II (simulated)", [])
  (record,) = records(tmp_path / "out", "casme2")
  assert record["apex_frame"] == 4
  metadata = json.loads((tmp_path / "out/casme2/1.0.0/metadata.json").read_text())
  assert (metadata["simulated"], metadata["source"]) == (True, source)
  assert (metadata["clips"], metadata["published_clips"]) == (1, None)


def test_window_apex_is_the_most_different_neighbour(tmp_path):
  """Known answer: the frame that is moved furthest wins, even beyond the offset."""
  folder = write_casme2(tmp_path, [[1, "EP01", 10, 20, 24, "4", "x"]])
  clip = folder / "CASME2_RAW_selected/sub01/EP01"
  cv2.imwrite(str(clip / "img26.jpg"), draw_frame(3.0))
  cv2.imwrite(str(clip / "img31.jpg"), draw_frame(6.0))  # 55 ms after the apex.
  cv2.imwrite(str(clip / "img9.jpg"), draw_frame(6.0))  # Before the onset.
  database = open_database("casme2", folder)
  crops = crops_of(database.clips[0])
  assert crops.window_apex == 26
  for path in clip.iterdir():
    if path.name not in ("img10.jpg", "img20.jpg"):
      path.unlink()
  database = open_database("casme2", folder)
  crops = crops_of(database.clips[0])
  assert crops.window_apex == 10  # The onset, 50 ms before, where no other is left.
  assert crops.pngs["window_apex"] == crops.pngs["onset"]
  alone = dataclasses.replace(database.clips[0], candidates=())
  crops = crops_of(alone)
  assert crops.window_apex == 20
  assert crops.pngs["window_apex"] == crops.pngs["apex"]


def test_all_frames_share_the_onsets_alignment(tmp_path, monkeypatch):
  """A detector that would align each frame elsewhere is asked about the onset only."""
  folder = write_casme2(tmp_path, [[1, "EP01", 1, 3, 5, "4", "x"]], frames=False)
  for number in range(1, 6):
    path = folder / f"CASME2_RAW_selected/sub01/EP01/img{number}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), draw_frame(number, 160, 120))
  asked = []
  align = FaceDetector.align

  def spy(self, frame, size):
    asked.append(frame)
    return align(self, frame, size)

  monkeypatch.setattr(FaceDetector, "align", spy)
  crops = load_crops(
    open_database("casme2", folder).clips[0], SIZE, FaceDetector(), FrameReader()
  )
  assert len(asked) == 1
  assert not crops.alignment.aligned
  (outcome,) = build(tmp_path, tmp_path / "out", ["casme2"], size=SIZE, faces="find")
  assert (outcome.clips, outcome.centred, outcome.problems) == (1, 1, [])
  assert "EP01/img1.jpg: no face found, centre crop" in outcome.notes[0]


def test_cropped_release_is_only_resized(tmp_path):
  """Declared, or recognised because it is the only one there; it need not be square."""
  folder = write_casme2(tmp_path, [[1, "EP01", 1, 3, 5, "4", "x"]], frames=False)
  clip = "sub01/EP01"
  write_clip(folder / "Cropped" / clip, "reg_img{}.jpg", 1, 3, 5, width=80, height=96)
  (keys,) = open_database("casme2", folder).clips
  assert keys.cropped
  assert crops_of(keys, FaceDetector()).alignment.found == "cropped"
  raw = folder / "CASME2_RAW_selected" / clip
  write_clip(raw, "img{}.jpg", 1, 3, 5, width=160, height=120)
  for cropped, found in ((False, "centre"), (True, "cropped")):
    (keys,) = open_database("casme2", folder, cropped=cropped).clips
    assert keys.files[1].name.startswith("reg_") == cropped
    assert crops_of(keys, FaceDetector()).alignment.found == found


def test_a_square_frame_alone_is_no_crop(tmp_path):
  folder = write_casme2(tmp_path, [[1, "EP01", 1, 3, 5, "4", "x"]])
  (keys,) = open_database("casme2", folder).clips
  assert crops_of(keys, FaceDetector()).alignment.found == "centre"


def test_without_faces_the_central_square_is_taken(tmp_path):
  folder = write_casme2(tmp_path, [[1, "EP01", 1, 3, 5, "4", "x"]], frames=False)
  clip = folder / "CASME2_RAW_selected/sub01/EP01"
  write_clip(clip, "img{}.png", 1, 3, 5, width=2 * SIZE, height=SIZE)
  (outcome,) = build(tmp_path, tmp_path / "out", size=SIZE)
  assert (outcome.clips, outcome.centred, outcome.notes) == (1, 1, [])
  (record,) = records(tmp_path / "out", "casme2")
  assert not record["aligned"]
  half = SIZE // 2
  frame = cv2.imread(str(clip / "img1.png"))[:, half:-half, ::-1]
  np.testing.assert_array_equal(record["onset"], frame)


@pytest.mark.parametrize("size", [SIZE // 2, 2 * SIZE])
def test_the_central_square_of_a_square_is_the_whole_frame(size):
  frame = draw_frame(0)
  np.testing.assert_allclose(
    central_square(frame, size).matrix, whole_frame(frame, size).matrix
  )


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (3, 500)])
def test_absurd_frames_cost_their_clip(tmp_path, shape):
  rows = [[1, "EP01", 1, 3, 5, "4", "x"], [1, "EP02", 1, 3, 5, "4", "x"]]
  folder = write_casme2(tmp_path / "root", rows)
  for path in (folder / "CASME2_RAW_selected/sub01/EP01").iterdir():
    cv2.imwrite(str(path), np.zeros(shape, np.uint8))
  (outcome,) = build(tmp_path / "root", tmp_path / "out", size=SIZE)
  assert (outcome.failure, outcome.clips) == ("", 1)
  (line,) = outcome.problems
  assert "EP01/img1.jpg: " in line and "a frame has at least 32 a side" in line
  assert "01/EP01" in outcome.lacking


def test_frames_that_vanish_while_building(tmp_path):
  folder = write_casme2(tmp_path / "root")
  sources = open_root(tmp_path / "root").sources
  shutil.rmtree(folder / "CASME2_RAW_selected/sub01")
  options = Options(SIZE, faces="none")
  (outcome,) = build_module.build(sources, tmp_path / "out", options)
  assert outcome.clips == 1
  (line,) = outcome.problems
  assert "img46.jpg: cannot be read (No such file or directory)" in line


def test_reading_needs_no_tensorflow_and_no_network(all_built):
  """In a process of its own, with sockets taken away."""
  folder, _ = all_built
  code = f"""
import socket, sys
def refuse(*args, **kwargs):
  raise AssertionError("network")
socket.socket.connect = socket.getaddrinfo = refuse
import tensorflow_datasets as tfds
builder = tfds.builder_from_directory({str(folder / "out/casme/1.0.0")!r})
source = builder.as_data_source(split="all")
assert len(source) == 2 and source[1]["clip"] == b"EP01_2"
assert "tensorflow" not in sys.modules
"""
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
  assert (done.returncode, done.stderr) == (0, "")
