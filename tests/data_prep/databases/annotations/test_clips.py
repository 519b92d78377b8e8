"""Rows of a workbook -> clips: by column name, and one bad row costs one clip."""

import pytest

from data_prep.databases.annotations.clips import read_annotations
from data_prep.databases.layouts import LAYOUTS
from infusenet_jax.clips.labels import AUS
from tests.data_prep.trees import (
  CASME2_HEADER,
  CASME3A_HEADER,
  FOURD_HEADER,
  SAMM_HEADER,
  fourd_row,
  samm_row,
  write_workbook,
)

ADVICE = "the row is left out until that is put right in the workbook"


def read(tmp_path, key, rows, above=0, **kwargs):
  path = write_workbook(tmp_path / "book.xlsx", rows, above)
  return read_annotations(path, LAYOUTS[key], **kwargs)


def positive(clip):
  return {au for au, label in zip(AUS, clip.labels, strict=True) if label}


def test_casme_ignores_second_apex_and_unnamed_columns(tmp_path):
  header = ["Subject", "Filename", "OnsetF", "ApexF1", "ApexF2", "OffsetF", None]
  rows = [
    [*header, "AU", "Emotion"],
    [1, "EP01_12", 73, 80, 0, 91, "x", "4+L9", "Disgust"],
  ]
  result = read(tmp_path, "casme", rows)
  (clip,) = result.clips
  assert (clip.subject, clip.name, clip.row) == ("01", "EP01_12", 2)
  assert (clip.onset, clip.apex, clip.offset) == (73, 80, 91)
  assert positive(clip) == {4, 9}
  assert clip.emotion == "disgust"
  assert result.problems == result.fixes == []


def test_samm_header_below_remarks(tmp_path):
  rows = [SAMM_HEADER, samm_row("006", "006_1_2", 10, 20, 30, "R12A/B + ")]
  (clip,) = read(tmp_path, "samm", rows, above=13).clips
  assert (clip.row, clip.subject, positive(clip)) == (15, "006", {12})


def test_fourd_columns_are_the_labels_and_marks_clear_them(tmp_path):
  rows = [
    FOURD_HEADER,
    fourd_row("S08_002_01_1", "AU1+AU2(k)", {1, 2}, "S08"),
    fourd_row("S08_002_01_2", "AU4+AU45", {4, 7}, "S08"),
  ]
  result = read(tmp_path, "fourd", rows)
  assert [positive(c) for c in result.clips] == [{1}, {4, 7}]
  assert result.clips[0].subject == "S08"


def test_fourd_columns_of_true_and_false(tmp_path):
  row = fourd_row("S08_002_01_1", "AU1", {1}, "S08")
  row[7:] = [True, "FALSE", "true", "1.0", 0.0, None, *[False] * 6]
  (clip,) = read(tmp_path, "fourd", [FOURD_HEADER, row]).clips
  assert positive(clip) == {1, 4, 5}


def test_fourd_column_that_holds_neither_0_nor_1(tmp_path):
  bad = fourd_row("S08_002_01_2", "AU4", {4})
  bad[7] = "x"
  result = read(tmp_path, "fourd", [FOURD_HEADER, bad], fix=False)
  assert result.problems == [
    "book.xlsx row 2 (S49/S08_002_01_2): column AU1 holds 'x', expected 0 or 1;"
    f" {ADVICE}"
  ]


def test_revisions_spell_columns_differently(tmp_path):
  rows = [
    ["SUBJECT ", "file name", "Onset frame", "apex_frame", "offset", "AUs", "Emotion"],
    [1.0, "EP02_01f", 46.0, 50.0, 56.0, 4, "disgust"],
  ]
  (clip,) = read(tmp_path, "casme2", rows).clips
  assert (clip.subject, clip.onset, clip.aus) == ("01", 46, "4")


def test_numbers_as_text(tmp_path):
  rows = [CASME2_HEADER, ["1.0", "EP02_01f", "46.0", " 50 ", "56.00", "4.0", "x"]]
  (clip,) = read(tmp_path, "casme2", rows).clips
  assert (clip.subject, clip.number) == ("01", 1)
  assert (clip.onset, clip.apex, clip.offset) == (46, 50, 56)
  assert (positive(clip), clip.aus) == ({4}, "4")


MEGABYTE = "x" * 30_000  # What a cell of .xlsx can hold.
BAD_ROWS = {
  "text in a number cell": (["x", 4, 8, "4"], "onset is 'x', not a frame number"),
  "half a frame": ([1, 4.5, 8, "4"], "apex is '4.5', not a frame number"),
  "truth in a number cell": ([True, 4, 8, "4"], "onset is 'True', not a frame number"),
  "no apex": ([1, None, 8, "4"], "apex is empty"),
  "apex before the clip": ([3, 2, 8, "4"], "apex 2 is outside the clip"),
  "apex after the clip": ([3, 9, 8, "4"], "apex 9 is outside the clip"),
  "two AUs in one": ([1, 4, 8, "4/7"], "put a + between AUs, as in 4+7"),
  "no frame": ([1, 4, 3_000_000_000, "4"], "offset is '3000000000', more than the 9"),
  "minus": ([-1, 4, 8, "4"], "onset is '-1', not a frame number"),
  "5,000 digits": ([1, 4, "8" * 5000, "4"], "... (5,000 characters), more than"),
  "AU of 5,000 digits": ([1, 4, 8, "4" * 5000], "... (5,000 characters) is too long"),
  "an endless cell": ([1, 4, MEGABYTE, "4"], "... (30,000 characters), not a frame"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_row_is_left_out_and_named(tmp_path, case):
  (onset, apex, offset, aus), reason = BAD_ROWS[case]
  rows = [
    CASME2_HEADER,
    [1, "EP01", 1, 4, 8, "4", "x"],
    [None] * 7,
    [1, "EP02", onset, apex, offset, aus, "x"],
    [2, "EP03", 1, 4, 8, "4", "x"],
  ]
  result = read(tmp_path, "casme2", rows, fix=False)
  assert [c.name for c in result.clips] == ["EP01", "EP03"]
  (line,) = result.problems
  assert line.startswith("book.xlsx row 4 (01/EP02): ")
  assert reason in line
  assert line.endswith(ADVICE)
  assert len(line) < 400
  assert result.lacking == ["01/EP02"]
  assert result.rows == 3


def test_rows_that_name_no_clip_and_duplicates(tmp_path):
  rows = [
    CASME2_HEADER,
    [1, "EP01", 1, 4, 8, "4", "x"],
    ["someone", "EP02", 1, 4, 8, "4", "x"],
    [1, None, 1, 4, 8, "4", "x"],
    [1, "EP01", 2, 4, 8, "7", "x"],
    ["1" * 5000, "EP03", 1, 4, 8, "4", "x"],
    [1, MEGABYTE, 1, 4, 8, "4", "x"],
  ]
  result = read(tmp_path, "casme2", rows, fix=False)
  assert [c.name for c in result.clips] == ["EP01"]
  assert sorted(line.split(":")[0] for line in result.problems) == [
    *("book.xlsx row 3", "book.xlsx row 4", "book.xlsx row 5 (01/EP01)"),
    *("book.xlsx row 6", "book.xlsx row 7"),
  ]
  assert "repeats row 2" in result.problems[-1]
  assert max(map(len, result.problems)) < 400


def test_footnotes_are_left_alone(tmp_path):
  rows = [
    CASME2_HEADER,
    [1, "EP01", 1, 4, 8, "4", "x"],
    [],
    ["* AUs that were hard to tell", None, None, None, None, None, None],
    [None, None, None, None, None, None, "coded in 2013"],
    [None, "see the paper", None, None, None, None, None],
  ]
  result = read(tmp_path, "casme2", rows, fix=False)
  assert len(result.clips) == 1
  assert result.problems == []
  assert result.notes == [
    f"book.xlsx row {row}: {text!r} is no clip; left alone"
    for row, text in (
      (4, "* AUs that were hard to tell"),
      (5, "coded in 2013"),
      (6, "see the paper"),
    )
  ]


def test_rows_of_macro_expressions_are_not_taken(tmp_path):
  rows = [
    [*CASME3A_HEADER, "Expression type"],
    ["spNO.1", "a", 355, 360, 366, "4", 1, "fear", "micro-expression"],
    ["spNO.1", "a", 400, 500, 600, "12", 1, "happy", "Macro-expression"],
    ["spNO.1", "a", 700, 705, 710, "4", 1, "fear", "micro-expression"],
  ]
  result = read(tmp_path, "casme3a", rows, fix=False)
  assert [(clip.name, clip.onset) for clip in result.clips] == [("a", 355), ("a2", 700)]
  assert result.notes == [
    "book.xlsx: rows of macro-expressions (Expression type) that are not taken: 1"
  ]


def test_casme3a_same_clip_twice_is_a_duplicate(tmp_path):
  row = ["spNO.1", "a", 355, 360, 366, "4", 1, "fear"]
  result = read(tmp_path, "casme3a", [CASME3A_HEADER, row, row], fix=False)
  assert len(result.clips) == len(result.problems) == 1
