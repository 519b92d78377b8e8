"""Every folder layout that is seen in use, as a miniature tree: found, and said how.

The layouts are those that public users of the databases have; see docs/data.md.
"""

import pytest

from data_prep.databases.layouts import LAYOUTS
from data_prep.sources import open_root
from tests.data_prep.trees import (
  CASME2_HEADER,
  CASME3A_HEADER,
  CASME_HEADER,
  FOURD_HEADER,
  MMEW_HEADER,
  SAMM_HEADER,
  fourd_row,
  samm_row,
  write_workbook,
)

# Two clips of each database, and the frames' numbers.
BOOKS = {
  "casme": [
    CASME_HEADER,
    [1, "EP01_12", 73, 74, 0, 75, "4", "disgust"],
    [8, "EP01_2", 5, 6, 0, 7, "4", "disgust"],
  ],
  "casme2": [
    CASME2_HEADER,
    [1, "EP02_01f", 46, 47, 48, "4", "disgust"],
    [2, "EP03_02", 8, 9, 10, "4", "others"],
  ],
  "samm": [
    SAMM_HEADER,
    samm_row("006", "006_1_2", 5562, 5563, 5564, "4"),
    samm_row("013", "013_1_8", 98, 99, 100, "4"),
  ],
  "fourd": [
    FOURD_HEADER,
    fourd_row("S08_002_01_1", "AU4", {4}, "S08", (98, 99, 100)),
    fourd_row("S10_001_01_2", "AU4", {4}, "S10", (1, 2, 3)),
  ],
  "mmew": [
    MMEW_HEADER,
    ["S01", "S01-01-001", 1, 2, 3, "4", "disgust", None],
    ["S01", "S01-02-001", 8, 9, 10, "4", "others", None],
  ],
  "casme3a": [
    CASME3A_HEADER,
    ["spNO.1", "a", 355, 356, 357, "4", 1, "fear"],
    ["spNO.1", "a", 400, 401, 402, "4", 1, "fear"],
  ],
}
RAW1, RAW2 = "CASME_raw_selected/sub01/EP01_12", "CASME_raw_selected/sub08/EP01_2"
CASME = ("{}/EP01_12-{n}.jpg", "{}/EP01_2-{n:03d}.jpg")
CROP1, CROP2 = (
  "{}/sub01/EP01_12/reg_EP01_12-{n}.jpg",
  "{}/sub08/EP01_2/reg_EP01_2-{n:03d}.jpg",
)
IMG = ("{}/sub01/EP02_01f/img{n}.jpg", "{}/sub02/EP03_02/img{n}.jpg")
REG = ("{}/sub01/EP02_01f/reg_img{n}.jpg", "{}/sub02/EP03_02/reg_img{n}.jpg")
SAMM = ("{}/006/006_1_2/006_{n:05d}.jpg", "{}/013/013_1_8/13-1_8 frame {n}.jpg")
GRAY = ("{}/S08/S08_002_01_1/{n}.jpg", "{}/S10/S10_001_01_2/gray_{n:04d}.png")
MMEW = ("{}/disgust/S01-01-001/{n}.jpg", "{}/repression/S01-02-001/{n}.jpg")
FULL = ("{}/spNO.1/a/color/{n}.jpg", "{}/spNO.1/a/color/{n}.jpg")
CUT = ("{}/frame/spNo.1_a_355/{n}.jpg", "{}/frame/spNo.1_a_400/{n}.jpg")
ME_A = ("{}/spNO.1/a/color/{n}.jpg", "{}/spNO.1/a2/color/{n}.jpg")

# key, folder in the root, the workbook's folder, where frames lie, names, what is said.
TREES = [
  ("casme", "CASME", "", "CASME_raw_selected", None, "full frames"),
  ("casme", "CASME dataset", "", "CASME_raw_selected", None, "full frames"),
  ("casme", "casme-i", "", "Cropped", "crop", "cropped"),
  ("casme2", "CASME2", "", "CASME2_RAW_selected", IMG, "full frames"),
  ("casme2", "CASME II", "", "CASME2_RAW_selected/CASME2_RAW_selected", IMG, "full"),
  ("casme2", "casme_ii", "", "RAW_selected", IMG, "full frames"),
  ("casme2", "CASMEII", "", "CASME2_RAW", IMG, "full frames"),
  ("casme2", "CASME2", "", "CASME2-RAW", IMG, "full frames"),
  ("casme2", "CASME2", "", "Cropped", REG, "cropped"),
  ("casme2", "CASME2", "", "Cropped-updated/Cropped", REG, "cropped"),
  ("casme2", "CASME2", "", "Cropped_original", REG, "cropped"),
  ("samm", "SAMM", "", "", SAMM, "full frames"),
  ("samm", "SAMM_v2", "", "SAMM", SAMM, "full frames"),
  ("samm", "SAMM", "", "SAMM_CROP", SAMM, "cropped"),
  ("samm", "SAMM", "", "../SAMM_CROP", SAMM, "cropped"),
  ("fourd", "4DME", "", "gray_micro", GRAY, "full frames"),
  ("fourd", "4DME_micro", "", "Micro/gray_micro", GRAY, "full frames"),
  ("fourd", "4dmicro", "", "gray_micro_crop", GRAY, "cropped"),
  ("mmew", "MMEW", "", "Micro_Expression", MMEW, "full frames"),
  ("mmew", "MMEW_Final", "", "Micro_Expression", MMEW, "full frames"),
  ("mmew", "MMEW", "MMEW_Final", "MMEW_Final/Micro_Expression", MMEW, "full frames"),
  ("casme3a", "CAS(ME)3", "part_A/annotation", "part_A", FULL, "full frames, full"),
  ("casme3a", "CASME3", "annotation", "part_A/data/part_A_split/part_A", FULL, "full"),
  ("casme3a", "CAS(ME)^3", "", "Part_A_ME_clip", CUT, "full frames, clip"),
  ("casme3a", "CASME3_Part_A", "", "Part_A_ME_clip/Part_A_ME_clip", CUT, "clip"),
  ("casme3a", "CASME3_Part_A", "", "", FULL, "full"),
  ("casme3a", "CAS(ME)^3", "part_A/annotation", "part_A/ME_A", ME_A, "ME_A"),
]  # fmt: skip


def touch(path, content=b"x"):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content)


def numbers(key):
  """Onset, apex and offset of the two clips."""
  at = {name.lower().replace(" ", ""): i for i, name in enumerate(BOOKS[key][0])}
  onset = next(i for name, i in at.items() if name.startswith("onset"))
  return [range(row[onset], row[onset] + 3) for row in BOOKS[key][1:]]


def frame_names(key, frames, names):
  if key == "casme":
    names = (CROP1, CROP2) if names == "crop" else (
      "{}/sub01/EP01_12/EP01_12-{n}.jpg", "{}/sub08/EP01_2/EP01_2-{n:03d}.jpg"
    )  # fmt: skip
  return [
    [name.format(frames, n=n).lstrip("/") for n in of]
    for name, of in zip(names, numbers(key), strict=True)
  ]


def plant(root, key, folder, book, frames, names, content=b"x"):
  """Writes a miniature database; the paths of its frames, clip by clip."""
  place = root / folder
  above = 13 if key == "samm" else 0
  workbook = place / book / LAYOUTS[key].workbooks[0]
  write_workbook(workbook, BOOKS[key], above)
  paths = [[place / name for name in of] for of in frame_names(key, frames, names)]
  for path in (path for of in paths for path in of):
    touch(path, content)
  return paths


JUNK = ("._46.jpg", "Thumbs.db", "desktop.ini", ".DS_Store", "note.txt")


@pytest.mark.parametrize(
  ("key", "folder", "book", "frames", "names", "said"),
  TREES,
  ids=[f"{tree[1]}: {tree[3] or '.'}" for tree in TREES],
)
def test_layout_is_found_and_named(tmp_path, key, folder, book, frames, names, said):
  paths = plant(tmp_path, key, folder, book, frames, names)
  for junk in JUNK:
    touch(paths[0][0].with_name(junk))
  touch(paths[0][0].with_name(f"{paths[0][0].stem} (2){paths[0][0].suffix}"))
  touch(paths[0][0].with_name(f"Copy of {paths[0][0].name}"))
  touch(tmp_path / folder / "__MACOSX" / "casme.xlsx")
  touch(tmp_path / folder / f"~${LAYOUTS[key].workbooks[0]}")
  opened = open_root(tmp_path)
  (source,) = opened.sources
  database = source.database
  assert (source.key, source.failure, opened.notes) == (key, "", [])
  found = [{path.resolve() for path in keys.files.values()} for keys in database.clips]
  assert found == [{path.resolve() for path in of} for of in paths]
  assert database.problems == []
  assert database.missing_frames == 0
  workbook, taken, *others = database.taken
  assert workbook == f"workbook {LAYOUTS[key].workbooks[0]}, 2 rows"
  assert said in taken
  assert "(2 clips)" in taken
  assert others == []
  assert {keys.cropped for keys in database.clips} == {said == "cropped"}
