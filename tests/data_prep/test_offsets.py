"""Records with the frame at the clip's offset: what is in them and what they say."""

import json
import shutil

import cv2
import numpy as np
import pytest

from data_prep import build as build_module
from data_prep.build import Options
from data_prep.databases.frames import key_frames
from data_prep.simulator.writer import Parameters, simulate
from data_prep.sources import open_root
from infusenet_jax.clips.prepared import read_metadata, require_offset
from infusenet_jax.clips.records import load_clips
from infusenet_jax.clips.schema import FRAMES, OFFSET
from infusenet_jax.runtime.errors import UserError
from tests.data_prep.builds import SIZE, build, files, records
from tests.data_prep.trees import write_casme2

FOLDER = "casme2/1.0.0"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """Two clips whose frames are moved by 1.5 px at the apex, without and with offset."""
  folder = tmp_path_factory.mktemp("offsets")
  write_casme2(folder / "root")
  for name, options in (
    ("without", {}),
    ("with", {"offset": True}),
    ("steady", {"offset": True, "head": "removed"}),
  ):
    (outcome,) = build(folder / "root", folder / name, size=SIZE, **options)
    assert (outcome.clips, outcome.problems, outcome.failure) == (2, [], "")
    assert not any("offset" in note for note in outcome.notes)
  return folder


def test_a_record_holds_one_more_frame_and_is_otherwise_the_same(built):
  pairs = [records(built / name, "casme2") for name in ("without", "with")]
  for without, more in zip(*pairs, strict=True):
    assert more.keys() - without.keys() == {OFFSET}
    for name in without:
      np.testing.assert_array_equal(without[name], more[name])
    (file,) = (built / "root").rglob(f"img{more['offset_frame']}.jpg")
    np.testing.assert_array_equal(more[OFFSET], cv2.imread(str(file))[..., ::-1])


def test_metadata_say_so_and_nothing_where_there_is_none(built):
  without, more = (
    json.loads((built / name / FOLDER / "metadata.json").read_text())
    for name in ("without", "with")
  )
  assert more[OFFSET] is True and more.keys() - without.keys() == {OFFSET}
  assert read_metadata(built / "without" / FOLDER)[OFFSET] is False
  require_offset(built / "with")
  with pytest.raises(UserError, match=r"casme2.1\.0\.0: was built without the offset"):
    require_offset(built / "without")


def test_clips_are_read_with_and_without_it(built):
  without, more = (load_clips(built / name, SIZE) for name in ("without", "with"))
  for name in ("flow", "labels", *FRAMES):
    np.testing.assert_array_equal(getattr(without, name), getattr(more, name))
  assert more.offset.shape == more.apex.shape and more.offset.dtype == np.uint8
  assert without.offset is None
  assert list(more.frames((*FRAMES, OFFSET))) == [*FRAMES, OFFSET]
  with pytest.raises(UserError, match="the records hold no offset, which the network"):
    without.frames((*FRAMES, OFFSET))


def test_a_folder_of_both_kinds_has_it_for_none(built, tmp_path):
  shutil.copytree(built / "with", tmp_path, dirs_exist_ok=True)
  shutil.copytree(built / "without/casme2", tmp_path / "other")
  clips = load_clips(tmp_path, SIZE)
  assert len(clips) == 4 and clips.offset is None


def test_the_heads_motion_is_taken_out_of_it_too(built):
  kept, steady = (records(built / name, "casme2") for name in ("with", "steady"))
  for before, after in zip(kept, steady, strict=True):
    np.testing.assert_array_equal(before["onset"], after["onset"])
    inner = slice(8, -8), slice(8, -8)
    away = [
      np.abs(x[OFFSET][inner].astype(int) - x["onset"][inner]) for x in (before, after)
    ]
    assert away[1].mean() < 0.7 * away[0].mean()


@pytest.mark.parametrize(("there", "now"), [("without", True), ("with", False)])
def test_neither_kind_is_taken_for_the_other(built, there, now):
  before = files(built / there)
  (outcome,) = build(built / "root", built / there, size=SIZE, offset=now)
  assert f"offset ({str(not now).lower()} there" in outcome.failure
  assert files(built / there) == before
  (outcome,) = build(built / "root", built / there, size=SIZE, offset=not now)
  assert outcome.reused


@pytest.mark.parametrize("damage", ["absent", "damaged"])
def test_the_onset_stands_in_for_an_offset_that_is_not_there(
  built, command, tmp_path, damage
):
  shutil.copytree(built / "root", tmp_path / "root")
  (database,) = (path for path in (tmp_path / "root").iterdir() if path.is_dir())
  clip = max(path.parent for path in database.rglob("*.jpg"))
  numbers = sorted(
    clip.glob("*.jpg"), key=lambda path: int("".join(filter(str.isdigit, path.stem)))
  )
  for path in numbers[-1:] if damage == "damaged" else _after_apex(numbers):
    path.unlink() if damage == "absent" else path.write_bytes(b"no picture")
  status, _, lines = command(
    *("build", "--root", tmp_path / "root", "--out", tmp_path / "out"),
    *("--faces=none", "--offset", "--size", SIZE),
  )
  assert status == 1  # Two clips are fewer than published.
  said = "the onset stands in for the offset in 1 of 2 clips"
  assert any(said in line for line in lines)
  notes = read_metadata(tmp_path / "out" / FOLDER)["notes"]
  assert any(said in note for note in notes)
  stood_in = [
    np.array_equal(record["onset"], record[OFFSET])
    for record in records(tmp_path / "out", "casme2")
  ]
  assert sorted(stood_in) == [False, True]


def _after_apex(files):
  """All that lies behind the frame that moved farthest from the first."""
  first = cv2.imread(str(files[0])).astype(int)
  away = [np.abs(cv2.imread(str(path)).astype(int) - first).mean() for path in files]
  return files[int(np.argmax(away)) + 1 :]


def test_an_offset_is_after_the_apex(built, tmp_path):
  clip = build_clip(built)
  numbers = {n: tmp_path / f"{n}.jpg" for n in range(clip.onset, clip.offset + 1)}
  keys = key_frames(clip, numbers, 25, False)
  assert keys.offset == clip.offset and keys.offset not in keys.files
  assert keys.with_offset().files == dict(
    sorted((keys.files | {clip.offset: numbers[clip.offset]}).items())
  )
  del numbers[clip.offset]  # The nearest frame within 50 ms.
  assert key_frames(clip, numbers, 25, False).offset == clip.offset - 1
  until_apex = {n: path for n, path in numbers.items() if n <= clip.apex}
  keys = key_frames(clip, until_apex, 200, False)
  assert keys.offset is None and keys.with_offset() is keys


def build_clip(built):
  (source,) = open_root(built / "root", None).sources
  return source.database.built_clips[0]


@pytest.mark.slow
def test_simulated_key_frames_hold_it(tmp_path):
  parameters = Parameters(
    scale=0.001, frames="key", labels="balanced", databases=("casme2",)
  )
  simulate(tmp_path / "root", parameters, workers=1)
  (outcome,) = build(tmp_path / "root", tmp_path / "out", size=SIZE, offset=True)
  assert not any("stands in for the offset" in note for note in outcome.notes)
  for record in records(tmp_path / "out", "casme2"):
    assert not np.array_equal(record[OFFSET], record["onset"])


def test_flow_alone_has_no_offset(tmp_path):
  write_casme2(tmp_path / "root", frames=False)
  (source,) = open_root(tmp_path / "root", None, needs_frames=False).sources
  options = Options(offset=True, flow_arrays=tmp_path)
  (outcome,) = build_module.build([source], tmp_path / "out", options)
  assert outcome.failure.startswith("--offset: ")
  assert outcome.failure.endswith("CASME II has no frames; leave --offset out")
