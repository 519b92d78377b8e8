import dataclasses

import cv2
import numpy as np
import pytest

from data_prep.databases.annotations import Clip
from data_prep.databases.frames import FrameFinder, key_frames, same_name
from data_prep.databases.layouts import LAYOUTS
from infusenet_jax.clips.images import read_frame
from tests.data_prep.trees import draw_frame, write_frame


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


# As the facts spell them, and as licensees are known to.
TREES = {
  "casme, plain numbers": (
    clip_of("casme", "01", 1, "EP01_12"),
    "CASME_raw_selected/sub01/EP01_12/EP01_12-{}.jpg",
    False,
  ),
  "casme, padded from sub08 on": (
    clip_of("casme", "08", 8, "EP01_2"),
    "CASME_raw_selected/sub08/EP01_2/EP01_2-00{}.jpg",
    False,
  ),
  "casme, cropped release": (
    clip_of("casme", "01", 1, "EP01_12"),
    "Cropped/sub01/EP01_12/reg_EP01_12-{}.jpg",
    True,
  ),
  "casme2": (
    clip_of("casme2", "01", 1, "EP02_01f"),
    "CASME2_RAW_selected/sub01/EP02_01f/img{}.jpg",
    False,
  ),
  "casme2, other case and padding": (
    clip_of("casme2", "01", 1, "EP02_01f"),
    "casme2_raw_selected/Sub1/ep02-01F/IMG{}.JPG",
    False,
  ),
  "casme2, archive unpacked into a folder of its own": (
    clip_of("casme2", "01", 1, "EP02_01f"),
    "CASME2-RAW-selected/CASME2_RAW_selected/sub01/EP02_01f/img{}.jpg",
    False,
  ),
  "casme2, cropped release": (
    clip_of("casme2", "01", 1, "EP02_01f"),
    "Cropped/sub01/EP02_01f/reg_img{}.jpg",
    True,
  ),
  "samm": (
    clip_of("samm", "006", 6, "006_1_2"),
    "006/006_1_2/006_0000{}.jpg",
    False,
  ),
  "samm, irregular names": (
    clip_of("samm", "013", 13, "013_1_8"),
    "013/013_1_8/13 - 1_8_frame {}.jpg",
    False,
  ),
  "4dme": (
    clip_of("fourd", "S08", 8, "S08_002_01_1"),
    "gray_micro/S08/S08_002_01_1/gray_{}.png",
    False,
  ),
  "mmew, others is repression": (
    clip_of("mmew", "S01", 1, "S01-01-001"),
    "Micro_Expression/repression/S01-01-001/{}.jpg",
    False,
  ),
  "casme3a, full release": (
    clip_of("casme3a", "spNO.1", 1, "a"),
    "part_A/spNO.1/a/color/{}.jpg",
    False,
  ),
  "casme3a, clip release": (
    clip_of("casme3a", "spNO.1", 1, "a"),
    "Part_A_ME_clip/frame/spNo.1_a_1/{}.jpg",
    False,
  ),
  "casme3a, clip release named after the sheet's onset": (
    clip_of("casme3a", "spNO.216", 216, "d", sheet_onset=77),
    "Part_A_ME_clip/frame/spNo.216_d_77/{}.jpg",
    False,
  ),
}


@pytest.mark.parametrize("case", TREES)
def test_every_release_is_found(tmp_path, case):
  clip, template, cropped = TREES[case]
  for number in (1, 2, 3):
    touch(tmp_path / template.format(number))
  (tmp_path / template.format(1)).with_name("Thumbs.db").write_bytes(b"")
  release, frames = FrameFinder(tmp_path, LAYOUTS[clip.database]).find(clip)
  assert frames == {n: tmp_path / template.format(n) for n in (1, 2, 3)}
  assert release.cropped == cropped


def test_cropped_chooses_between_two_releases(tmp_path):
  touch(tmp_path / "CASME2_RAW_selected/sub01/EP02_01f/img1.jpg")
  touch(tmp_path / "Cropped/sub01/EP02_01f/reg_img1.jpg")
  clip = clip_of("casme2", "01", 1, "EP02_01f")
  for cropped in (False, True):
    release, frames = FrameFinder(tmp_path, LAYOUTS["casme2"], cropped).find(clip)
    assert release.cropped == cropped
    assert frames[1].name == ("reg_img1.jpg" if cropped else "img1.jpg")


def test_neighbouring_clips_are_not_confused():
  names = ["006_1_2", "006_12", "0061_2", "EP02_01", "EP02_01f", "EP02_1_0"]
  assert len({same_name(name) for name in names}) == len(names)
  assert same_name("sub01") == same_name("Sub-1")


def test_missing_clip_says_what_was_looked_for(tmp_path):
  (tmp_path / "CASME_raw_selected/sub01").mkdir(parents=True)
  finder = FrameFinder(tmp_path, LAYOUTS["casme"])
  with pytest.raises(FileNotFoundError) as caught:
    finder.find(clip_of("casme", "01", 1, "EP01_12"))
  assert str(caught.value) == (
    "no frames in CASME_raw_selected/sub01/EP01_12 or Cropped/sub01/EP01_12"
  )


def numbered(tmp_path, numbers):
  return {n: tmp_path / f"img{n}.jpg" for n in numbers}


@pytest.mark.parametrize(
  ("key", "reach"), [("casme", 3), ("casme2", 10), ("mmew", 4), ("casme3a", 1)]
)
def test_window_is_50_ms_and_never_before_the_onset(tmp_path, key, reach):
  layout = LAYOUTS[key]
  frames = numbered(tmp_path, range(100, 200))
  clip = clip_of(key, "01", 1, "x", 100, 150, 199)
  keys = key_frames(clip, layout.releases[0], frames, layout.fps, False)
  expected = set(range(150 - reach, 150 + reach + 1)) - {150}
  assert set(keys.candidates) == expected
  clip = clip_of(key, "01", 1, "x", 100, 101, 199)
  keys = key_frames(clip, layout.releases[0], frames, layout.fps, False)
  assert set(keys.candidates) == {100, *range(102, 102 + reach)}


def test_apex_on_the_onset_and_a_single_frame(tmp_path):
  layout = LAYOUTS["casme3a"]
  clip = clip_of("casme3a", "spNO.216", 216, "e", 1, 1, 1)
  keys = key_frames(clip, layout.releases[0], numbered(tmp_path, [1]), 30, False)
  assert (keys.onset, keys.apex, keys.candidates, keys.note) == (1, 1, (), "")


def test_a_neighbour_stands_in_for_a_missing_frame(tmp_path):
  layout = LAYOUTS["casme3a"]
  clip = clip_of("casme3a", "spNO.1", 1, "a", 10, 14, 20)
  frames = numbered(tmp_path, [11, 12, 13, 15, 16])
  keys = key_frames(clip, layout.releases[0], frames, 30, False)
  assert (keys.onset, keys.apex) == (11, 13)
  assert keys.candidates == (15,)  # About frame 14, not about what stands in for it.
  assert set(keys.files) == {11, 13, 15}
  assert keys.note == (
    "onset frame 10 is not on disk, frame 11 stands in;"
    " apex frame 14 is not on disk, frame 13 stands in"
  )


def test_no_neighbour_to_stand_in(tmp_path):
  layout = LAYOUTS["casme3a"]
  clip = clip_of("casme3a", "spNO.1", 1, "a", 10, 14, 20)
  with pytest.raises(FileNotFoundError, match=r"frame 14 is not in .*10 to 18"):
    key_frames(clip, layout.releases[0], numbered(tmp_path, [10, 18]), 30, False)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_reading_frames(tmp_path, suffix):
  path = write_frame(tmp_path / f"a{suffix}")
  image = read_frame(path)
  assert image.shape == (64, 64, 3)
  assert np.abs(image.astype(int) - draw_frame(0)).mean() < 4
  whole = path.read_bytes()
  path.write_bytes(whole[: len(whole) // 2])
  with pytest.raises(
    ValueError, match=rf"a\{suffix}: truncated image, {path.stat().st_size}"
  ):
    read_frame(path)
  path.write_bytes(b"")
  with pytest.raises(ValueError, match="zero bytes"):
    read_frame(path)
  path.write_bytes(b"<html>")
  with pytest.raises(ValueError, match="not an image"):
    read_frame(path)
  path.unlink()
  with pytest.raises(ValueError, match="No such file"):
    read_frame(path)


def test_grey_frames_get_three_equal_channels(tmp_path):
  path = tmp_path / "grey.jpg"
  cv2.imwrite(str(path), draw_frame(0)[..., 0])
  image = read_frame(path)
  assert image.shape == (64, 64, 3)
  np.testing.assert_array_equal(image[..., 0], image[..., 2])
