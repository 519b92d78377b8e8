"""Finding frames in any spelling, without junk, and choosing those that are needed."""

import dataclasses
import os

import pytest

from data_prep.databases.annotations.clips import Clip
from data_prep.databases.frames import FrameFinder, key_frames, same_name
from data_prep.databases.layouts import LAYOUTS


def clip_of(key, subject, number, filename, onset=1, apex=2, offset=3, **fields):
  clip = Clip(
    database=key,
    subject=subject,
    name=filename,
    filename=filename,
    number=number,
    row=2,
    sheet_onset=onset,
    onset=onset,
    apex=apex,
    offset=offset,
    labels=(0,) * 12,
    aus="",
    emotion="others",
  )
  return dataclasses.replace(clip, **fields)


def touch(path):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(b"x")


def find(folder, clip, cropped=False):
  """The best place of a clip's frames, None where there is none."""
  return next(FrameFinder(folder, LAYOUTS[clip.database]).find(clip, cropped), None)


# Spellings beside those of test_layouts.py.
TREES = {
  "casme2, other case and padding": (
    clip_of("casme2", "01", 1, "EP02_01f"),
    "casme2_raw_selected/Sub1/ep02-01F/IMG{}.JPG",
  ),
  "casme2, archive unpacked into a folder of its own": (
    clip_of("casme2", "01", 1, "EP02_01f"),
    "CASME2-RAW-selected/CASME2_RAW_selected/sub01/EP02_01f/img{}.jpg",
  ),
  "samm, irregular names": (
    clip_of("samm", "013", 13, "013_1_8"),
    "013/013_1_8/13 - 1_8_frame {}.jpg",
  ),
  "4dme": (
    clip_of("fourd", "S08", 8, "S08_002_01_1"),
    "gray_micro/S08/S08_002_01_1/gray_{}.png",
  ),
  "mmew, others is repression": (
    clip_of("mmew", "S01", 1, "S01-01-001"),
    "Micro_Expression/repression/S01-01-001/{}.jpg",
  ),
  "mmew, others is others": (
    clip_of("mmew", "S01", 1, "S01-01-001"),
    "Micro_Expression/Others/S01-01-001/{}.jpg",
  ),
  "casme3a, clip release named after the sheet's onset": (
    clip_of("casme3a", "spNO.216", 216, "d", sheet_onset=77),
    "Part_A_ME_clip/frame/spNo.216_d_77/{}.jpg",
  ),
  "numbers in brackets that count frames": (
    clip_of("casme2", "01", 1, "EP02_01f"),
    "CASME2_RAW_selected/sub01/EP02_01f/S01 ({}).jpg",
  ),
}


@pytest.mark.parametrize("case", TREES)
def test_other_spellings_are_found(tmp_path, case):
  clip, template = TREES[case]
  for number in (1, 2, 3):
    touch(tmp_path / template.format(number))
  frames = find(tmp_path, clip)
  assert frames.files == {n: tmp_path / template.format(n) for n in (1, 2, 3)}


CASME2 = clip_of("casme2", "01", 1, "EP02_01f")


def test_crops_among_full_frames_are_not_taken_for_them(tmp_path):
  folder = tmp_path / "CASME2_RAW_selected/sub01/EP02_01f"
  for name in ("img1.jpg", "reg_img1.jpg", "reg_img2.jpg", "img3.PNG", "img03.jpg"):
    touch(folder / name)
  # Of two files with one number the one is taken that is spelled as in the release.
  files = find(tmp_path, CASME2).files
  assert {n: path.name for n, path in files.items()} == {1: "img1.jpg", 3: "img03.jpg"}
  assert find(tmp_path, CASME2, cropped=True) is None
  folder = tmp_path / "Cropped/sub01/EP02_01f"
  for name in ("img1.jpg", "reg_img1.jpg"):
    touch(folder / name)
  assert find(tmp_path, CASME2, cropped=True).files == {1: folder / "reg_img1.jpg"}


def test_copies_and_broken_links_are_no_frames(tmp_path):
  folder = tmp_path / "CASME2_RAW_selected/sub01/EP02_01f"
  names = ("img46.jpg", "img46 (2).jpg", "img47(1).jpg", "Copy of img48.jpg")
  for name in (*names, "img49 - Copy.jpg", "img50 - Copy (3).jpg", "cover.jpg"):
    touch(folder / name)
  (folder / "img51.jpg").symlink_to(folder / "nowhere.jpg")
  (folder / "img52.jpg").symlink_to(folder / "img46.jpg")
  (folder / "img53.jpg").symlink_to(folder / "img53.jpg")
  (folder / "img54.jpg").mkdir()
  os.mkfifo(folder / "img55.jpg")
  assert sorted(find(tmp_path, CASME2).files) == [46, 52]


def test_links_to_folders_are_followed(tmp_path):
  touch(tmp_path / "elsewhere/EP02_01f/img1.jpg")
  (tmp_path / "X/CASME2_RAW_selected").mkdir(parents=True)
  (tmp_path / "X/CASME2_RAW_selected/sub01").symlink_to(tmp_path / "elsewhere")
  (tmp_path / "X/loop").symlink_to(tmp_path / "X")
  assert sorted(find(tmp_path / "X", CASME2).files) == [1]


def test_two_folders_of_one_clip(tmp_path):
  """An empty `sub01` beside `sub1` hides nothing; of two full ones the exact wins."""
  (tmp_path / "CASME2_RAW_selected/sub01").mkdir(parents=True)
  touch(tmp_path / "CASME2_RAW_selected/sub1/EP02_01f/img1.jpg")
  assert find(tmp_path, CASME2).folder.parent.name == "sub1"
  touch(tmp_path / "CASME2_RAW_selected/sub01/EP02_01f/img1.jpg")
  assert find(tmp_path, CASME2).folder.parent.name == "sub01"


def test_another_databases_folder_inside_is_not_searched(tmp_path):
  clip = clip_of("casme", "01", 1, "EP02_01f")
  touch(tmp_path / "CASME2/Cropped/sub01/EP02_01f/reg_img1.jpg")
  assert find(tmp_path, clip, cropped=True) is None
  touch(tmp_path / "CASME/Cropped/sub01/EP02_01f/reg_EP02_01f-1.jpg")
  assert find(tmp_path, clip, cropped=True) is not None


def test_neighbouring_clips_are_not_confused():
  names = ["006_1_2", "006_12", "0061_2", "EP02_01", "EP02_01f", "EP02_1_0"]
  assert len({same_name(name) for name in names}) == len(names)
  assert same_name("sub01") == same_name("Sub-1")


def test_what_was_looked_for(tmp_path):
  finder = FrameFinder(tmp_path, LAYOUTS["casme"])
  clip = clip_of("casme", "01", 1, "EP01_12")
  assert finder.looked_for(clip, False) == ["CASME_raw_selected/sub01/EP01_12"]
  assert finder.looked_for(clip, True) == ["Cropped/sub01/EP01_12"]


def numbered(tmp_path, numbers):
  return {n: tmp_path / f"img{n}.jpg" for n in numbers}


@pytest.mark.parametrize(
  ("key", "reach"), [("casme", 3), ("casme2", 10), ("mmew", 4), ("casme3a", 1)]
)
def test_window_is_50_ms_and_never_before_the_onset(tmp_path, key, reach):
  layout = LAYOUTS[key]
  frames = numbered(tmp_path, range(100, 200))
  clip = clip_of(key, "01", 1, "x", 100, 150, 199)
  keys = key_frames(clip, frames, layout.fps, False)
  expected = set(range(150 - reach, 150 + reach + 1)) - {150}
  assert set(keys.candidates) == expected
  clip = clip_of(key, "01", 1, "x", 100, 101, 199)
  keys = key_frames(clip, frames, layout.fps, False)
  assert set(keys.candidates) == {100, *range(102, 102 + reach)}


def test_apex_on_the_onset_and_a_single_frame(tmp_path):
  clip = clip_of("casme3a", "spNO.216", 216, "e", 1, 1, 1)
  keys = key_frames(clip, numbered(tmp_path, [1]), 30, False)
  assert (keys.onset, keys.apex, keys.candidates, keys.note) == (1, 1, (), "")


def test_a_neighbour_stands_in_for_a_missing_frame(tmp_path):
  clip = clip_of("casme3a", "spNO.1", 1, "a", 10, 14, 20)
  frames = numbered(tmp_path, [11, 12, 13, 15, 16])
  keys = key_frames(clip, frames, 30, False)
  assert (keys.onset, keys.apex) == (11, 13)
  assert keys.candidates == (15,)  # About frame 14, not about what stands in for it.
  assert set(keys.files) == {11, 13, 15}
  assert keys.note == (
    "onset frame 10 is not on disk, frame 11 stands in;"
    " apex frame 14 is not on disk, frame 13 stands in"
  )


def test_no_neighbour_to_stand_in(tmp_path):
  clip = clip_of("casme3a", "spNO.1", 1, "a", 10, 14, 20)
  with pytest.raises(FileNotFoundError, match=r"frame 14 is not in .*10 to 18"):
    key_frames(clip, numbered(tmp_path, [10, 18]), 30, False)
