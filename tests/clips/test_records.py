"""Records read back as they were written, and every damage named."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.records import RecordWriter
from infusenet_jax.clips import records
from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.prepared import (
  count_clips,
  prepared_databases,
  records_identity,
)
from infusenet_jax.clips.records import load_clips, min_max, network_flow
from infusenet_jax.clips.schema import FRAMES, VERSION
from infusenet_jax.runtime.errors import Preempted, UserError

QUICK = settings(deadline=None, max_examples=40)
SIZE = 32
# Blue, green, red: each frame another mixture, none of them grey.
COLOURS = {"onset": (10, 60, 200), "apex": (20, 70, 210), "window_apex": (30, 80, 220)}


def asymmetric_flow(number: int) -> np.ndarray:
  """u grows to the right, v downwards and less; strain is a dot."""
  flow = np.zeros((SIZE, SIZE, 3), np.float16)
  flow[..., 0] = np.linspace(-1, 3, SIZE)
  flow[..., 1] = np.linspace(-0.5, 0.5, SIZE)[:, None]
  flow[3 + number, 5, 2] = 0.25
  return flow


def write_records(data_dir: Path, flows: list[np.ndarray], **metadata) -> Path:
  """Records of SAMM with one clip for each flow, as `data_prep build` writes them."""
  folder = data_dir / "samm" / VERSION
  with RecordWriter(folder, "samm", SIZE) as to:
    for number, flow in enumerate(flows):
      pngs = {
        name: cv2.imencode(".png", np.full((SIZE, SIZE, 3), colour, np.uint8))[1]
        for name, colour in COLOURS.items()
      }
      to.write(
        {name: png.tobytes() for name, png in pngs.items()}
        | {
          "flow": flow,
          "labels": np.eye(len(AUS), dtype=np.uint8)[number],
          "aus": "4",
          "emotion": "anger",
          "database": "samm",
          "subject": "006",
          "clip": f"006_1_{number}",
          "onset_frame": 1,
          "apex_frame": 3,
          "window_apex_frame": 4,
          "offset_frame": 9,
          "fps": 200.0,
          "aligned": True,
        }
      )
    to.finish(
      "", {"simulated": True, "fingerprint": "f", "clips": len(flows)} | metadata
    )
  return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
  data_dir = tmp_path_factory.mktemp("written")
  write_records(data_dir, [asymmetric_flow(number) for number in range(3)])
  return data_dir


@pytest.fixture
def data_dir(written, tmp_path) -> Path:
  """A copy to be damaged."""
  return Path(shutil.copytree(written, tmp_path / "records"))


def test_a_record_is_read_back_as_it_was_written(written):
  clips = load_clips(written, SIZE)
  assert len(clips) == 3 and clips.simulated is True
  assert clips.clip.tolist() == ["006_1_0", "006_1_1", "006_1_2"]
  assert np.array_equal(clips.labels, np.eye(3, len(AUS)))
  for name in FRAMES:
    assert (getattr(clips, name) == COLOURS[name][::-1]).all()  # Red, green, blue.
  for number in range(3):
    flow = asymmetric_flow(number).astype(np.float32)
    np.testing.assert_allclose(clips.flow_in_pixels(number), flow[..., :2], atol=4e-3)
    np.testing.assert_allclose(clips.flow[number], min_max(flow), atol=1e-3)
  np.testing.assert_allclose(
    clips.flow_range[0], [[-1, -0.5, 0], [3, 0.5, 0.25]], atol=1e-3
  )
  assert count_clips(written) == {"samm": 3}
  assert records_identity(written) == {"samm": "f"}


def test_clips_are_resized_and_scaled_afterwards(written):
  clips = load_clips(written, SIZE // 2)
  assert clips.flow.shape == (3, SIZE // 2, SIZE // 2, 3)
  assert clips.flow.min() == 0 and clips.flow.max() == 1
  assert clips.flow_range[0, 1, 0] == pytest.approx(3, abs=0.1)


def edit(path: Path, **fields) -> None:
  path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def drop_one_of_the_counts(folder: Path) -> None:
  path = folder / "dataset_info.json"
  path.write_text(path.read_text().replace('"3"', '"2"'))


def halve(folder: Path) -> None:
  (records_file,) = folder.glob("*.array_record*")
  records_file.write_bytes(
    records_file.read_bytes()[: records_file.stat().st_size // 2]
  )


DAMAGES = {
  "half of the file": (halve, r"samm.*cannot be read"),
  "no file": (
    lambda f: next(f.glob("*.array_record*")).unlink(),
    r"samm.*cannot be read",
  ),
  "fewer clips noted than there are": (
    drop_one_of_the_counts,
    r"3 clips.*but 2 by its",
  ),
  "other clips in metadata.json": (
    lambda f: edit(f / "metadata.json", clips=5),
    r"3 clips, but 5 by its metadata\.json",
  ),
  "no flag": (
    lambda f: edit(f / "metadata.json", simulated=None),
    r"metadata\.json: its field 'simulated' is None, expected true or false",
  ),
  "a flag that is a word": (
    lambda f: edit(f / "metadata.json", simulated="no"),
    r"'simulated' is 'no', expected true or false",
  ),
  "metadata.json holds a list": (
    lambda f: (f / "metadata.json").write_text("[1]"),
    r"metadata\.json: holds a list, expected named fields",
  ),
  "metadata.json is no JSON": (
    lambda f: (f / "metadata.json").write_bytes(b"\xff{"),
    r"metadata\.json: cannot be read",
  ),
  "dataset_info.json without splits": (
    lambda f: (f / "dataset_info.json").write_text('{"splits": 3}'),
    r"dataset_info\.json: says nothing of how many clips",
  ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_records_are_one_line_that_says_to_build_again(data_dir, damage):
  act, message = DAMAGES[damage]
  act(data_dir / "samm" / VERSION)
  with pytest.raises(UserError, match=message) as refused:
    load_clips(data_dir, SIZE)
  (line,) = str(refused.value).splitlines()
  assert "data_prep build` again" in line


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_flow_that_is_not_finite_is_named_with_its_clip(tmp_path, value):
  broken = asymmetric_flow(1)
  broken[4, 4, 1] = value
  write_records(tmp_path, [asymmetric_flow(0), broken])
  with pytest.raises(UserError, match=r"flow of clip 006/006_1_1 is not finite"):
    load_clips(tmp_path, SIZE)


def test_an_error_of_our_own_is_not_taken_for_damage(data_dir, monkeypatch):
  def wrong(*_):
    raise KeyError("a name that the code spells wrongly")

  monkeypatch.setattr(records, "_to_arrays", wrong)
  with pytest.raises(KeyError, match="spells wrongly"):
    load_clips(data_dir, SIZE)


def test_sigterm_while_records_are_read_is_not_taken_for_damage(data_dir, monkeypatch):
  def told(_):
    raise Preempted("saved")

  monkeypatch.setattr("tensorflow_datasets.builder_from_directory", told)
  with pytest.raises(Preempted, match="saved"):
    load_clips(data_dir, SIZE)


@QUICK
@given(st.integers(0, 1000))
def test_flow_is_scaled_to_zero_and_one_per_channel(seed):
  rng = np.random.default_rng(seed)
  flow = rng.normal(rng.normal(size=3) * 5, rng.random(3) + 0.1, (6, 7, 3))
  flow[..., 2] = 1.5  # no contrast
  scaled = min_max(flow)
  assert scaled.min() == 0 and scaled.max() == 1
  assert np.array_equal(scaled.max((0, 1)), [1, 1, 0])
  restored = scaled * np.ptp(flow, (0, 1)) + flow.min((0, 1))
  assert np.allclose(restored, flow, atol=1e-5)


def test_the_six_come_first_and_half_made_records_are_none(tmp_path):
  for name in ("zoo", "samm", "lab", "casme", ".building-mmew", "No Name", "casmeii"):
    info = tmp_path / name / "1.0.0/dataset_info.json"
    info.parent.mkdir(parents=True)
    info.write_text("{}")
  assert list(prepared_databases(tmp_path)) == ["casme", "samm", "lab", "zoo"]


@pytest.mark.parametrize("make", [lambda p: p / "absent", lambda p: p])
def test_a_missing_or_empty_data_dir_says_what_to_do(tmp_path, make):
  with pytest.raises(UserError, match=r"config\.data_dir=.*no prepared records.*build"):
    load_clips(make(tmp_path), 32)
  assert count_clips(make(tmp_path)) == {}


def test_flow_that_is_constant_but_for_rounding_is_no_motion():
  flow = np.full((112, 112, 3), 0.7, np.float16)
  seen, _ = network_flow(flow, 64)
  assert not seen.any()
  flow[:56] += np.float16(0.01)
  assert np.ptp(network_flow(flow, 64)[0], axis=(0, 1)).tolist() == [1, 1, 1]
