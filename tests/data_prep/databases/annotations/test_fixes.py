"""The known faults of the licensed workbooks: put right where they are, only there."""

import random

import pytest

from data_prep.databases.annotations.clips import read_annotations
from data_prep.databases.annotations.fixes import FIXES, PAIRS
from data_prep.databases.layouts import LAYOUTS
from infusenet_jax.clips.labels import AUS
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


def read(tmp_path, key, rows, above=0, **kwargs):
  path = write_workbook(tmp_path / "book.xlsx", rows, above)
  return read_annotations(path, LAYOUTS[key], **kwargs)


def said(result):
  """The notes without the workbook's name."""
  return [note.removeprefix("book.xlsx: ") for note in result.notes]


def positive(clip):
  return {au for au, label in zip(AUS, clip.labels, strict=True) if label}


def test_casme_fixes_are_applied_and_listed(tmp_path):
  rows = [
    CASME_HEADER,
    ["sub03", "EP07_1", 90, 118, 0, 140, "4", "x"],
    [6, "EP02_7", 10, 20, 0, "?", "4", "x"],
    [13, "EP13_5", 130, 136, 0, 142, "4", "x"],
  ]
  result = read(tmp_path, "casme", rows)
  assert [(c.onset, c.apex, c.offset) for c in result.clips] == [
    (100, 120, 149),
    (10, 20, 40),
    (130, 136, 142),
  ]
  assert result.fixes == [
    "03/EP07_1: onset 90 -> 100",
    "03/EP07_1: apex 118 -> 120",
    "03/EP07_1: offset 140 -> 149",
    "06/EP02_7: offset ? -> 40",
  ]  # The last row already says 142.
  assert result.lacking == ["03/EP09_3", "03/EP09_4"]  # Fixes that met no row.


def test_casme2_missing_apexes_of_any_row_order(tmp_path):
  rows = [
    [int(fix.subject), fix.name, 1, "/", fix.offset or 999, "?", "others"]
    for fix in FIXES["casme2"]
  ]
  random.Random(0).shuffle(rows)
  result = read(tmp_path, "casme2", [CASME2_HEADER, *rows])
  assert result.problems == result.notes == result.lacking == []
  apexes = {(c.subject, c.name): c.apex for c in result.clips}
  assert apexes == {(fix.subject, fix.name): fix.apex for fix in FIXES["casme2"]}
  assert apexes["17", "EP15_03"] == 329
  assert len(result.fixes) == 21
  assert all(clip.labels == (0,) * 12 for clip in result.clips)


def test_a_fix_that_does_not_fit_its_row_is_not_applied(tmp_path):
  """Apex 279 cannot be meant for a clip that ends at 90."""
  rows = [CASME2_HEADER, [4, "EP12_01f", 10, 50, 90, "4", "x"]]
  result = read(tmp_path, "casme2", rows)
  assert result.clips[0].apex == 50
  assert result.fixes == []
  (note,) = said(result)
  assert note.startswith("04/EP12_01f: apex 279 would not fit row 2 (onset, apex and")


def test_fixes_can_be_left_out(tmp_path):
  rows = [CASME2_HEADER, [4, "EP12_01f", 1, 5, 300, "4", "x"]]
  result = read(tmp_path, "casme2", rows, fix=False)
  assert result.clips[0].apex == 5
  assert result.fixes == result.lacking == []


def test_samm_fixes_of_frames_and_texts(tmp_path):
  rows = [
    SAMM_HEADER,
    samm_row("007", "007_6_1", 10, 20, 30, "R12 or R15"),
    samm_row(11, "011_4_2", 10, 20, 30, "14?"),
    samm_row(32.0, "032_3_1", 4900, 4999, 5000, "7 ref(x)"),
    samm_row("013", "013_1_9", 5700, 5710, 5700, "AU 2"),
    samm_row("035", "035_7_2", 10, 20, 30, "A/R14"),
  ]
  result = read(tmp_path, "samm", rows, above=13)
  assert [positive(c) for c in result.clips] == [{12, 15}, {14}, {7}, {2}, {14}]
  assert [c.subject for c in result.clips] == ["007", "011", "032", "013", "035"]
  assert result.clips[2].apex == 4945
  assert result.clips[3].offset == 5739
  assert result.clips[0].row == 15
  assert result.clips[0].aus == "R12 + R15"
  assert result.fixes == [
    "013/013_1_9: offset 5700 -> 5739",
    "032/032_3_1: apex 4999 -> 4945",
    "007/007_6_1: aus R12 or R15 -> R12 + R15",
  ]  # "14?" and "A/R14" already say AU14.


FIRST, SECOND = "S49_001_01_1", "S49_001_01_2"
BOTH = f"S49/{FIRST} and S49/{SECOND}"


@pytest.mark.parametrize("plus", ["+", " + AU"])
def test_fourd_labels_in_each_others_row_are_swapped_back(tmp_path, plus):
  rows = [
    FOURD_HEADER,
    fourd_row(FIRST, f"AU4{plus}7{plus}12(k)", {4, 7, 12}),
    fourd_row(SECOND, f"AU4{plus}7", {4, 7}),
  ]
  first, second = read(tmp_path, "fourd", rows).clips
  assert positive(first) == {4, 7}
  assert positive(second) == {4, 7}  # Its AU12 is marked (k).
  assert "12" in second.aus
  assert read(tmp_path, "fourd", rows).fixes == [
    f"{BOTH}: binary columns and AU texts were in each other's row, swapped back"
  ]
  assert "12" in read(tmp_path, "fourd", rows, fix=False).clips[0].aus


def test_fourd_labels_in_their_own_row_stay(tmp_path):
  rows = [
    FOURD_HEADER,
    fourd_row(FIRST, "AU4+7", {4, 7}),
    fourd_row(SECOND, "AU4+7+12", {4, 7, 12}),
  ]
  result = read(tmp_path, "fourd", rows)
  assert [positive(clip) for clip in result.clips] == [{4, 7}, {4, 7, 12}]
  assert result.fixes == []
  assert said(result) == [f"{BOTH}: labels are in their own rows, nothing swapped"]


def test_fourd_half_a_swap_and_other_labels(tmp_path):
  rows = [
    FOURD_HEADER,
    fourd_row(FIRST, "AU4+7", {4, 7, 12}),
    fourd_row(SECOND, "AU4+7+12", {4, 7}),
  ]
  result = read(tmp_path, "fourd", rows)
  assert [positive(clip) for clip in result.clips] == [{4, 7}, {4, 7, 12}]
  assert [clip.aus for clip in result.clips] == ["AU4+7", "AU4+7+12"]
  assert result.fixes == [
    f"{BOTH}: binary columns were in each other's row, swapped back"
  ]
  rows = [FOURD_HEADER, fourd_row(FIRST, "AU1", {1}), fourd_row(SECOND, "AU2", {2})]
  result = read(tmp_path, "fourd", rows)
  assert [positive(clip) for clip in result.clips] == [{1}, {2}]
  assert [clip.aus for clip in result.clips] == ["AU1", "AU2"]
  assert result.fixes == []
  assert said(result) == [
    f"{BOTH}: labels are neither those of CD6ME (AU 4+7 and 4+7+12) nor swapped; left"
    " as they are"
  ]


def test_mmew_fix_and_subject_spellings(tmp_path):
  rows = [
    MMEW_HEADER,
    ["S04", "S04-01-001", 1, 41, 70, "4", "disgust", None],
    [5, "S05-01-001", 1, 4, 7, "L14", "others", "k"],
  ]
  result = read(tmp_path, "mmew", rows)
  assert [(c.subject, c.apex, c.offset) for c in result.clips] == [
    ("S04", 40, 75),
    ("S05", 4, 7),
  ]


def casme3a_row(subject, name, onset, apex, offset, aus="4"):
  return [subject, name, onset, apex, offset, aus, 1, "fear"]


SEQUENCE = [
  casme3a_row("spNO.40", "e", 100, 105, 110),
  casme3a_row("spNO.40", "e", 1500, 1505, 1510),
  casme3a_row("spNO.41", "e", 5, 7, 9),
  casme3a_row("spNO.40", "e", 1812, 1840, 1800),  # e3: the offset is wrong.
  casme3a_row("spNO.40", "e", 900, 905, 910),
  casme3a_row("spNO.40", "e", 2327, 2330, 2300),  # e5: so is this.
  casme3a_row("spNO.216", "d", 4, 2650, 2660),
  casme3a_row("spNO.216", "e", 3, 5, 30),
]


def test_casme3a_repeated_names_in_sheet_order(tmp_path):
  result = read(tmp_path, "casme3a", [CASME3A_HEADER, *SEQUENCE])
  names = [(c.subject, c.name, c.filename) for c in result.clips]
  assert names == [
    ("spNO.40", "e", "e"),
    ("spNO.40", "e2", "e"),
    ("spNO.41", "e", "e"),
    ("spNO.40", "e3", "e"),
    ("spNO.40", "e4", "e"),
    ("spNO.40", "e5", "e"),
    ("spNO.216", "d", "d"),
    ("spNO.216", "e", "e"),
  ]
  assert (result.clips[3].offset, result.clips[5].offset) == (1845, 2403)
  assert (result.clips[6].onset, result.clips[6].sheet_onset) == (2647, 4)
  assert (result.clips[7].onset, result.clips[7].apex) == (1, 1)
  assert said(result) == []
  assert "spNO.40/e3: offset 1800 -> 1845 (the row with onset 1812)" in result.fixes
  assert result.lacking == ["spNO.149/d", "spNO.214/c"]


def test_casme3a_workbook_that_was_sorted_is_not_damaged(tmp_path):
  """Both fixes find their rows by the onset, and the user hears of the other names."""
  rows = sorted(SEQUENCE, key=lambda row: row[2])
  result = read(tmp_path, "casme3a", [CASME3A_HEADER, *rows])
  ends = {c.onset: c.offset for c in result.clips if c.subject == "spNO.40"}
  assert ends == {100: 110, 900: 910, 1500: 1510, 1812: 1845, 2327: 2403}
  (note,) = said(result)
  assert "spNO.40/e4: row " in note
  assert "is e3 in CD6ME: the workbook was sorted" in note


def test_casme3a_fix_without_its_row(tmp_path):
  rows = [casme3a_row("spNO.40", "e", n, n + 5, n + 10) for n in (1, 50, 90, 150, 400)]
  result = read(tmp_path, "casme3a", [CASME3A_HEADER, *rows])
  assert result.fixes == []  # There is an e3, but it is another clip.
  assert [clip.offset for clip in result.clips] == [11, 60, 100, 160, 410]
  assert said(result) == [
    f"spNO.40/{name}: no row has onset {onset}; its fix is not applied"
    for name, onset in (("e3", 1812), ("e5", 2327))
  ]


def test_every_fix_names_a_subject_as_its_layout_does():
  named = [(key, fix.subject) for key, fixes in FIXES.items() for fix in fixes]
  named += [(key, name[0]) for key, pair in PAIRS.items() for name, _ in pair]
  for key, subject in named:
    number = int("".join(c for c in subject if c.isdigit()))
    assert LAYOUTS[key].subject.format(number) == subject
