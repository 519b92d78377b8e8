"""Every folder layout that is seen in use, as a miniature tree: found, and said how."""

import pytest

from data_prep.databases.layouts import LAYOUTS
from data_prep.sources import open_root
from tests.data_prep.databases.layout_trees import TREES
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

# Two clips of each database.
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
ONSETS = {
  "casme": (73, 5),
  "casme2": (46, 8),
  "samm": (5562, 98),
  "fourd": (98, 1),
  "mmew": (1, 8),
  "casme3a": (355, 400),
}
# How their frames are called in each release, written out by hand.
NAMES = {
  ("casme", "raw"): (
    "sub01/EP01_12/EP01_12-{n}.jpg",
    "sub08/EP01_2/EP01_2-{n:03d}.jpg",
  ),
  ("casme", "cropped"): (
    "sub01/EP01_12/reg_EP01_12-{n}.jpg",
    "sub08/EP01_2/reg_EP01_2-{n:03d}.jpg",
  ),
  ("casme2", "raw"): ("sub01/EP02_01f/img{n}.jpg", "sub02/EP03_02/img{n}.jpg"),
  ("casme2", "cropped"): (
    "sub01/EP02_01f/reg_img{n}.jpg",
    "sub02/EP03_02/reg_img{n}.jpg",
  ),
  ("samm", "raw"): ("006/006_1_2/006_{n:05d}.jpg", "013/013_1_8/13-1_8 frame {n}.jpg"),
  ("samm", "cropped"): ("006/006_1_2/006_{n:05d}.jpg", "013/013_1_8/013_{n:05d}.jpg"),
  ("fourd", "raw"): (
    "S08/S08_002_01_1/{n}.jpg",
    "S10/S10_001_01_2/gray_{n:04d}.png",
  ),
  ("fourd", "cropped"): ("S08/S08_002_01_1/{n}.jpg", "S10/S10_001_01_2/{n}.jpg"),
  ("mmew", "raw"): ("disgust/S01-01-001/{n}.jpg", "repression/S01-02-001/{n}.jpg"),
  ("casme3a", "full"): ("spNO.1/a/color/{n}.jpg", "spNO.1/a/color/{n}.jpg"),
  ("casme3a", "clip"): ("frame/spNo.1_a_355/{n}.jpg", "frame/spNo.1_a_400/{n}.jpg"),
  ("casme3a", "ME_A"): ("spNO.1/a/color/{n}.jpg", "spNO.1/a2/color/{n}.jpg"),
}
JUNK = ("._46.jpg", "Thumbs.db", "desktop.ini", ".DS_Store", "note.txt")


def touch(path):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(b"x")


def plant(root, tree):
  """Writes a miniature database; the paths of its frames, clip by clip."""
  place = root / tree.folder
  workbook = place / tree.book / LAYOUTS[tree.key].workbooks[0]
  write_workbook(workbook, BOOKS[tree.key], above=13 if tree.key == "samm" else 0)
  paths = [
    [place / tree.frames / name.format(n=n) for n in range(onset, onset + 3)]
    for name, onset in zip(NAMES[tree.key, tree.release], ONSETS[tree.key], strict=True)
  ]
  for path in (path for of in paths for path in of):
    touch(path)
  return paths


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_layout_is_found_and_named(tmp_path, tree):
  paths = plant(tmp_path, tree)
  first, book = paths[0][0], LAYOUTS[tree.key].workbooks[0]
  for junk in (*JUNK, f"{first.stem} (2){first.suffix}", f"Copy of {first.name}"):
    touch(first.with_name(junk))
  touch(tmp_path / tree.folder / "__MACOSX" / "casme.xlsx")
  touch(tmp_path / tree.folder / f"~${book}")
  opened = open_root(tmp_path)
  (source,) = opened.sources
  database = source.database
  assert (source.key, source.failure, opened.notes) == (tree.key, "", [])
  found = [{path.resolve() for path in keys.files.values()} for keys in database.clips]
  assert found == [{path.resolve() for path in of} for of in paths]
  assert database.problems == []
  assert database.missing_frames == 0
  workbook, taken, *others = database.taken
  assert workbook == f"workbook {book}, 2 rows"
  assert taken.startswith(tree.said)
  assert "(2 clips)" in taken
  assert others == []
  assert {keys.cropped for keys in database.clips} == {tree.said == "cropped"}
