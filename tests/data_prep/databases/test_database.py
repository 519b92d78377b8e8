"""Opening a database: full frames and crops apart, missing clips named, counts told."""

import os

import cv2
import numpy as np
import pytest

from data_prep.databases.annotations.clips import Clip
from data_prep.databases.counts import compare_counts
from data_prep.databases.database import open_database
from data_prep.simulator.plan.population import plan_database
from infusenet_jax.clips.labels import AUS, DATABASES
from infusenet_jax.runtime.errors import UserError
from tests.data_prep.trees import (
  CASME2_HEADER,
  CASME3A_HEADER,
  FOURD_HEADER,
  MMEW_HEADER,
  fourd_row,
  write_workbook,
)


def touch(folder, template, numbers, content=b"x"):
  for n in numbers:
    path = folder / template.format(n)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def casme2(folder, clips=(("EP01", 4), ("EP02", 4))):
  rows = [[1, name, 1, apex, 8, "4", "x"] for name, apex in clips]
  write_workbook(folder / "CASME2-coding-updated.xlsx", [CASME2_HEADER, *rows])
  return folder


RAW, CROP = (
  "CASME2_RAW_selected/sub01/{}/img{{}}.jpg",
  "Cropped/sub01/{}/reg_img{{}}.jpg",
)


def test_full_frames_beside_crops_are_taken_unless_crops_are_asked_for(tmp_path):
  folder = casme2(tmp_path)
  for name in ("EP01", "EP02"):
    touch(folder, RAW.format(name), range(1, 9))
    touch(folder, CROP.format(name), range(1, 9))
  full, cropped = (open_database("casme2", folder, cropped=c) for c in (False, True))
  assert full.taken[1:] == [
    "full frames, CASME2_RAW_selected (2 clips)",
    "not used: Cropped",
  ]
  assert cropped.taken[1:] == [
    "cropped, Cropped (2 clips)",
    "not used: CASME2_RAW_selected",
  ]
  for database, kind in ((full, False), (cropped, True)):
    for keys in database.clips:
      assert keys.cropped == kind
      assert keys.files[1].name.startswith("reg_") == kind


def test_a_clip_that_lacks_full_frames_is_not_taken_from_the_crops(tmp_path):
  folder = casme2(tmp_path)
  touch(folder, RAW.format("EP01"), range(1, 9))
  for name in ("EP01", "EP02"):
    touch(folder, CROP.format(name), range(1, 9))
  database = open_database("casme2", folder)
  assert [keys.clip.name for keys in database.clips] == ["EP01"]
  assert database.problems == [
    "CASME2-coding-updated.xlsx row 3 (01/EP02): no frames in"
    f" CASME2_RAW_selected/sub01/EP02; the crops in {folder}/Cropped/sub01/EP02 are not"
    " mixed with full frames; the clip is left out"
  ]
  assert "01/EP02" in database.lacking


def test_crops_that_are_asked_for_and_not_there(tmp_path):
  """Else full frames would be squashed into the crop without a word."""
  folder = casme2(tmp_path)
  touch(folder, RAW.format("EP01"), range(1, 9))
  with pytest.raises(UserError) as caught:
    open_database("casme2", folder, cropped=True)
  line = str(caught.value)
  assert "none of its 2 clips has cropped frames, which --cropped asks for" in line
  assert "no frames in Cropped/sub01/EP01; the full frames in" in line


def test_casme3a_has_no_crops(tmp_path):
  rows = [CASME3A_HEADER, ["spNO.1", "a", 1, 2, 3, "4", 1, "fear"]]
  write_workbook(tmp_path / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", rows)
  touch(tmp_path, "part_A/spNO.1/a/color/{}.jpg", (1, 2, 3))
  with pytest.raises(UserError, match="no frames in any release of crops"):
    open_database("casme3a", tmp_path, cropped=True)


def mmew(folder, *sizes):
  rows = [
    ["S01", f"S01-01-00{i}", 1, 2, 3, "4", "fear", None] for i, _ in enumerate(sizes)
  ]
  write_workbook(folder / "MMEW_Micro_Exp.xlsx", [MMEW_HEADER, *rows])
  for i, (width, height) in enumerate(sizes):
    data = cv2.imencode(".jpg", np.zeros((height, width), np.uint8))[1].tobytes()
    name = f"Micro_Expression/fear/S01-01-00{i}/{{}}.jpg"
    touch(folder, name, (1, 2, 3), data)
  return folder


def test_mmews_crops_are_known_by_their_size_alone(tmp_path):
  """They lie where full frames would; a square frame of another size is none."""
  crops = open_database("mmew", mmew(tmp_path / "a", (231, 231), (231, 231)))
  assert {keys.cropped for keys in crops.clips} == {True}
  assert crops.taken[1] == "cropped, Micro_Expression (2 clips)"
  square = open_database("mmew", mmew(tmp_path / "b", (240, 240), (320, 180)))
  assert {keys.cropped for keys in square.clips} == {False}
  assert square.taken[1] == "full frames, Micro_Expression (2 clips)"
  mixed = mmew(tmp_path / "c", (231, 231), (320, 180), (231, 231))
  for asked, names in ((False, ["S01-01-001"]), (True, ["S01-01-000", "S01-01-002"])):
    database = open_database("mmew", mixed, cropped=asked)
    assert [keys.clip.name for keys in database.clips] == names
    assert len(database.problems) == 3 - len(names)
    assert "are not mixed with" in database.problems[0]
  with pytest.raises(UserError, match="which --cropped asks for"):
    open_database("mmew", tmp_path / "b", cropped=True)


def test_two_releases_of_full_frames_may_complete_each_other(tmp_path):
  rows = [["spNO.1", "a", n, n + 1, n + 2, "4", 1, "fear"] for n in (10, 20, 30, 40)]
  book = "annotation/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
  write_workbook(tmp_path / book, [CASME3A_HEADER, *rows])
  touch(tmp_path, "part_A/spNO.1/a/color/{}.jpg", [*range(10, 13), *range(30, 43)])
  touch(tmp_path, "Part_A_ME_clip/frame/spNo.1_a_20/{}.jpg", range(20, 23))
  database = open_database("casme3a", tmp_path)
  assert len(database.clips) == 4
  assert database.taken[1:] == [
    "full frames, full release, part_A (3 clips)",
    "full frames, clip release, Part_A_ME_clip (1 clip: spNO.1/a2)",
  ]


def test_4dmes_colour_release_is_refused_by_name(tmp_path):
  rows = [FOURD_HEADER, fourd_row("S08_002_01_1", "AU4", {4}, "S08", (1, 2, 3))]
  write_workbook(tmp_path / "4DME_Labelling_Micro_release v1.xlsx", rows)
  touch(tmp_path, "rgb_micro/S08/S08_002_01_1/{}.jpg", (1, 2, 3))
  with pytest.raises(UserError, match="rgb_micro is not read: another release"):
    open_database("fourd", tmp_path)


def test_frame_numbers_are_counted_on_disk(tmp_path):
  """An offset may be any number without costing time."""
  rows = [[1, "EP01", 1, 4, 999_999_999, "4", "x"]]
  write_workbook(tmp_path / "CASME2-coding-updated.xlsx", [CASME2_HEADER, *rows])
  touch(tmp_path, RAW.format("EP01"), range(1, 9))
  database = open_database("casme2", tmp_path)
  assert database.missing_frames == 999_999_991


def test_folder_that_cannot_be_listed_costs_its_clips(tmp_path, monkeypatch):
  folder = casme2(tmp_path)
  for name in ("EP01", "EP02"):
    touch(folder, RAW.format(name), range(1, 9))
  scan = os.scandir

  def refuse(path):
    if str(path).endswith("EP01"):
      raise PermissionError(13, "Permission denied", str(path))
    return scan(path)

  monkeypatch.setattr(os, "scandir", refuse)
  database = open_database("casme2", folder)
  assert [keys.clip.name for keys in database.clips] == ["EP02"]
  (line,) = database.problems
  assert line.endswith("EP01: Permission denied; the clip is left out")


# -- Counts ---------------------------------------------------------------------


def published(key):
  """Clips with the published numbers, subjects and labels."""
  return [
    Clip(
      database=key,
      subject=clip.subject,
      name=clip.name,
      filename=clip.filename,
      number=clip.number,
      row=2,
      sheet_onset=1,
      onset=1,
      apex=2,
      offset=3,
      labels=tuple(int(au in clip.labels) for au in AUS),
      aus="",
      emotion="",
    )
    for clip in plan_database(key, 1.0, 0, "statistics")
  ]


@pytest.mark.parametrize("key", DATABASES)
def test_published_counts_are_nothing_to_tell(key):
  clips = published(key)
  assert compare_counts(key, clips, [], []) == []
  (line,) = compare_counts(key, clips[1:], [clips[0].place], [])[1:]
  assert line == f"{key}: missing by name, 1: {clips[0].place}"


def test_missing_clips_are_named_as_far_as_they_are_known():
  clips = published("casme2")
  lines = compare_counts(
    "casme2", clips[8:], [clips[0].place, clips[1].place] * 2, ["sub05/EP77_01"]
  )
  assert lines == [
    f"casme2: 248 clips of {len({c.subject for c in clips[8:]})} subjects, published"
    " are 256 of 26: results on it are not comparable",
    f"casme2: missing by name, 2: {clips[0].place}, {clips[1].place}",
    "casme2: 6 more are missing that the workbook does not list; folders without a"
    " row: sub05/EP77_01",
  ]


def test_too_many_clips():
  clips = published("mmew")
  double = Clip(**vars(clips[0]) | {"name": clips[0].name.replace("-", "_")})
  double = Clip(**vars(double) | {"filename": double.name})
  lines = compare_counts("mmew", [*clips, double], [], [])
  assert lines[0].startswith("mmew: 301 clips of 30 subjects, published are 300")
  assert lines[1:] == [
    f"mmew: 1 too many; rows of one folder: {clips[0].place}, {double.place}"
  ]
  other = Clip(**vars(clips[0]) | {"name": "S01-99-001", "filename": "S01-99-001"})
  lines = compare_counts("mmew", [*clips, other], [], [])
  assert lines[1].startswith("mmew: 1 too many; which, no published table says")


def test_as_many_clips_with_other_labels():
  clips = published("samm")
  first = next(i for i, clip in enumerate(clips) if clip.labels[2])
  clips[first] = Clip(**vars(clips[first]) | {"labels": (0,) * len(AUS)})
  (line,) = compare_counts("samm", clips, [], [])
  assert line.startswith(
    "samm: other positives than published, in brackets: AU4 22 (23)"
  )


def test_folders_without_a_row_are_found_where_rows_are_missing(tmp_path):
  folder = casme2(tmp_path)
  for clip in ("sub01/EP01", "sub01/EP02", "sub01/EP99", "sub09/EP02_02f", "sub26/EP1"):
    touch(folder, f"CASME2_RAW_selected/{clip}/img{{}}.jpg", range(1, 9))
  # One of them is known to have no row.
  assert open_database("casme2", folder).strays == ["sub01/EP99", "sub26/EP1"]
