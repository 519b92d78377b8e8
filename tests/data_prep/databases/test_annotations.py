import random
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.databases.annotations import parse_aus, read_annotations
from data_prep.databases.fixes import FIXES
from data_prep.databases.layouts import LAYOUTS
from infusenet_jax.clips.labels import AUS
from infusenet_jax.runtime.errors import UserError
from tests.data_prep.trees import CASME2_HEADER, write_workbook


def read(tmp_path, key, rows, above=0, **kwargs):
  return read_annotations(
    write_workbook(tmp_path / "book.xlsx", rows, above), LAYOUTS[key], **kwargs
  )


def positive(clip):
  return {au for au, label in zip(AUS, clip.labels, strict=True) if label}


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("R12 + R15", {12: False, 15: False}),
    ("L14", {14: False}),
    ("R14A", {14: False}),
    ("4+R7B", {4: False, 7: False}),
    ("AU1+AU2(k)", {1: False, 2: True}),
    ("AU4 (k) + L7(k)", {4: True, 7: True}),
    ("12 ref(x)", {12: False}),
    ("ref(12)", {12: False}),
    ("4", {4: False}),
    (4, {4: False}),
    ("?", {}),
    ("", {}),
    (None, {}),
    ("  / ", {}),
    ("L4+R4(k)", {4: True}),
  ],
)
def test_au_spellings(text, expected):
  assert parse_aus(text) == expected


@pytest.mark.parametrize("text", ["4+", "happy", "4/7", "12,4", "4+?", "2014-01-02"])
def test_au_text_that_is_none_is_refused(text):
  with pytest.raises(ValueError, match="AU text"):
    parse_aus(text)


@settings(deadline=None, max_examples=50)
@given(
  st.lists(
    st.tuples(
      st.sampled_from(["", "L", "R", "AU", "au"]),
      st.integers(1, 64),
      st.sampled_from(["", "A", "E", " "]),
      st.booleans(),
    ),
    min_size=1,
    unique_by=lambda part: part[1],
  ),
  st.sampled_from(["+", " + "]),
)
def test_any_side_and_intensity_keeps_the_number(parts, plus):
  text = plus.join(f"{a}{n}{b}{'(k)' if k else ''}" for a, n, b, k in parts)
  assert parse_aus(text) == {n: k for _, n, _, k in parts}


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


def test_casme_fixes_are_applied_and_listed(tmp_path):
  header = ["Subject", "Filename", "OnsetF", "ApexF1", "OffsetF", "AU", "Emotion"]
  rows = [
    header,
    ["sub03", "EP07_1", 90, 118, 140, "4", "x"],
    [6, "EP02_7", 10, 20, "?", "4", "x"],
    [13, "EP13_5", 130, 136, 142, "4", "x"],
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


def test_casme2_missing_apexes_of_any_row_order(tmp_path):
  rows = [
    [int(subject), name, 1, "/", fix.get("offset", 999), "?", "others"]
    for (subject, name), fix in FIXES["casme2"].items()
  ]
  random.Random(0).shuffle(rows)
  result = read(tmp_path, "casme2", [CASME2_HEADER, *rows])
  assert not result.problems
  apexes = {(c.subject, c.name): c.apex for c in result.clips}
  assert apexes == {key: fix["apex"] for key, fix in FIXES["casme2"].items()}
  assert apexes["17", "EP15_03"] == 329
  assert len(result.fixes) == 21
  assert all(clip.labels == (0,) * 12 for clip in result.clips)


def test_fixes_can_be_left_out(tmp_path):
  rows = [CASME2_HEADER, [4, "EP12_01f", 1, 5, 300, "4", "x"]]
  result = read(tmp_path, "casme2", rows, fix=False)
  assert result.clips[0].apex == 5
  assert result.fixes == []


def test_samm_header_below_remarks_and_au_fixes(tmp_path):
  header = [
    *("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame"),
    *("Offset Frame", "Duration", "Micro", "Action Units", "Estimated Emotion"),
    *("Objective Classes", "Notes"),
  ]

  def row(subject, name, onset, apex, offset, aus):
    return [subject, name, 1, onset, apex, offset, 1, "1/2", aus, "Fear", 2, None]

  rows = [
    header,
    row("007", "007_6_1", 10, 20, 30, "R12 or R15"),
    row(11, "011_4_2", 10, 20, 30, "14?"),
    row(32.0, "032_3_1", 4900, 4999, 5000, "7 ref(x)"),
    row("013", "013_1_9", 5700, 5710, 5700, "AU 2"),
  ]
  result = read(tmp_path, "samm", rows, above=13)
  assert [positive(c) for c in result.clips] == [{12, 15}, {14}, {7}, {2}]
  assert [c.subject for c in result.clips] == ["007", "011", "032", "013"]
  assert result.clips[2].apex == 4945
  assert result.clips[3].offset == 5739
  assert result.clips[0].row == 15
  assert result.clips[0].aus == "R12 + R15"


def fourd_row(name, text, ones, subject="S49"):
  return [subject, name, "Sad", 1, 5, 9, text, *(int(au in ones) for au in AUS)]


FOURD_HEADER = [
  *("sub_ID", "fold_name", "Emotion", "Onset", "Apex", "Offset", "AUs"),
  *(f"AU{au}" for au in AUS),
]


def test_fourd_columns_are_the_labels_and_marks_clear_them(tmp_path):
  rows = [
    FOURD_HEADER,
    fourd_row("S08_002_01_1", "AU1+AU2(k)", {1, 2}, "S08"),
    fourd_row("S08_002_01_2", "AU4+AU45", {4, 7}, "S08"),
  ]
  result = read(tmp_path, "fourd", rows)
  assert [positive(c) for c in result.clips] == [{1}, {4, 7}]
  assert result.clips[0].subject == "S08"


def test_fourd_swapped_rows_are_swapped_back(tmp_path):
  rows = [
    FOURD_HEADER,
    fourd_row("S49_001_01_1", "AU4(k)+AU7", {4, 7}),
    fourd_row("S49_001_01_2", "AU12", {12}),
  ]
  result = read(tmp_path, "fourd", rows)
  first, second = result.clips
  assert (positive(first), first.aus) == ({12}, "AU12")
  assert (positive(second), second.aus) == ({7}, "AU4(k)+AU7")
  assert result.fixes == ["S49/S49_001_01_1 and S49/S49_001_01_2: labels swapped back"]
  assert positive(read(tmp_path, "fourd", rows, fix=False).clips[0]) == {7}


def test_fourd_column_that_holds_neither_0_nor_1(tmp_path):
  bad = fourd_row("S08_002_01_2", "AU4", {4})
  bad[7] = "x"
  result = read(tmp_path, "fourd", [FOURD_HEADER, bad])
  assert result.problems == [
    "book.xlsx row 2: column AU1 holds 'x', expected 0 or 1; the row is left out"
  ]


def test_mmew_fix_and_subject_spellings(tmp_path):
  header = [*CASME2_HEADER, "remarks"]
  rows = [
    header,
    ["S04", "S04-01-001", 1, 41, 70, "4", "disgust", None],
    [5, "S05-01-001", 1, 4, 7, "L14", "others", "k"],
  ]
  result = read(tmp_path, "mmew", rows)
  assert [(c.subject, c.apex, c.offset) for c in result.clips] == [
    ("S04", 40, 75),
    ("S05", 4, 7),
  ]


CASME3A_HEADER = [
  *("Subject", "Filename", "Onset", "Apex", "Offset", "AU"),
  *("Objective class", "emotion"),
]


def test_casme3a_repeated_names_in_sheet_order(tmp_path):
  def row(subject, name, onset, apex, offset):
    return [subject, name, onset, apex, offset, "4", 1, "fear"]

  rows = [
    CASME3A_HEADER,
    row("spNO.40", "e", 100, 105, 110),
    row("spNO.40", "e", 1500, 1505, 1510),
    row("spNO.41", "e", 5, 7, 9),
    row("spNO.40", "e", 1800, 1840, 1800),  # e3: the offset is wrong.
    row("spNO.216", "d", 4, 2650, 2660),
    row("spNO.216", "e", 3, 5, 30),
  ]
  result = read(tmp_path, "casme3a", rows)
  names = [(c.subject, c.name, c.filename) for c in result.clips]
  assert names == [
    ("spNO.40", "e", "e"),
    ("spNO.40", "e2", "e"),
    ("spNO.41", "e", "e"),
    ("spNO.40", "e3", "e"),
    ("spNO.216", "d", "d"),
    ("spNO.216", "e", "e"),
  ]
  assert result.clips[3].offset == 1845
  assert (result.clips[4].onset, result.clips[4].sheet_onset) == (2647, 4)
  assert (result.clips[5].onset, result.clips[5].apex) == (1, 1)


def test_revisions_spell_columns_differently(tmp_path):
  rows = [
    ["SUBJECT ", "file name", "Onset frame", "apex_frame", "offset", "AUs", "Emotion"],
    [1.0, "EP02_01f", 46.0, 50.0, 56.0, 4, "disgust"],
  ]
  (clip,) = read(tmp_path, "casme2", rows).clips
  assert (clip.subject, clip.onset, clip.aus) == ("01", 46, "4")


def test_renamed_column_names_what_is_there(tmp_path):
  header = ["Peak" if name == "ApexFrame" else name for name in CASME2_HEADER]
  with pytest.raises(UserError) as caught:
    read(tmp_path, "casme2", [header, [1, "a", 1, 2, 3, "4", "x"]])
  line = str(caught.value)
  assert "book.xlsx" in line
  assert "apex" in line
  assert "Peak" in line
  assert "\n" not in line


def test_missing_binary_column_is_not_taken_for_zeros(tmp_path):
  header = [name for name in FOURD_HEADER if name != "AU10"]
  with pytest.raises(UserError, match="no column for AU10"):
    read(tmp_path, "fourd", [header])


BAD_ROWS = {
  "text in a number cell": (["x", 4, 8, "4"], "onset is 'x', not a frame number"),
  "half a frame": ([1, 4.5, 8, "4"], "apex is '4.5', not a frame number"),
  "no apex": ([1, None, 8, "4"], "apex is empty"),
  "apex before the clip": ([3, 2, 8, "4"], "apex 2 is outside the clip"),
  "apex after the clip": ([3, 9, 8, "4"], "apex 9 is outside the clip"),
  "AU text": ([1, 4, 8, "four"], "AU text 'four'"),
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
  result = read(tmp_path, "casme2", rows)
  assert [c.name for c in result.clips] == ["EP01", "EP03"]
  (line,) = result.problems
  assert line.startswith("book.xlsx row 4: ")
  assert reason in line


def test_rows_that_name_no_clip_and_duplicates(tmp_path):
  rows = [
    CASME2_HEADER,
    [1, "EP01", 1, 4, 8, "4", "x"],
    ["someone", "EP02", 1, 4, 8, "4", "x"],
    [1, None, 1, 4, 8, "4", "x"],
    [1, "EP01", 2, 4, 8, "7", "x"],
  ]
  result = read(tmp_path, "casme2", rows)
  assert [c.name for c in result.clips] == ["EP01"]
  assert [line.split(":")[0] for line in result.problems] == [
    "book.xlsx row 3",
    "book.xlsx row 4",
    "book.xlsx row 5",
  ]
  assert "repeats row 2 (01/EP01)" in result.problems[-1]


def test_casme3a_same_clip_twice_is_a_duplicate(tmp_path):
  row = ["spNO.1", "a", 355, 360, 366, "4", 1, "fear"]
  result = read(tmp_path, "casme3a", [CASME3A_HEADER, row, row])
  assert len(result.clips) == len(result.problems) == 1


@pytest.mark.parametrize("content", [b"", b"not a workbook", b"PK\x03\x04broken"])
def test_file_that_is_no_workbook(tmp_path, content):
  path = tmp_path / "casme.xlsx"
  path.write_bytes(content)
  with pytest.raises(UserError, match=r"casme\.xlsx: not a readable"):
    read_annotations(path, LAYOUTS["casme"])


@pytest.mark.parametrize(
  ("member", "spoil"),
  [
    ("xl/worksheets/sheet1.xml", lambda xml: xml[: len(xml) // 2]),
    ("xl/styles.xml", lambda xml: b""),
    ("xl/workbook.xml", lambda xml: xml.replace(b"sheetId=", b"sheet=")),
  ],
)
def test_workbook_with_a_spoilt_part(tmp_path, member, spoil):
  path = write_workbook(tmp_path / "whole.xlsx", [["Subject"]])
  broken = tmp_path / "casme.xlsx"
  with zipfile.ZipFile(path) as whole, zipfile.ZipFile(broken, "w") as to:
    for name in whole.namelist():
      data = whole.read(name)
      to.writestr(name, spoil(data) if name == member else data)
  with pytest.raises(UserError, match=r"casme\.xlsx: not a readable"):
    read_annotations(broken, LAYOUTS["casme"])


def test_workbook_whose_compressed_bytes_are_spoilt(tmp_path):
  path = write_workbook(tmp_path / "casme.xlsx", [["Subject"]])
  data = bytearray(path.read_bytes())
  with zipfile.ZipFile(path) as book:
    at = book.getinfo("xl/worksheets/sheet1.xml").header_offset
  data[at + 60 : at + 90] = b"\xff" * 30
  path.write_bytes(data)
  with pytest.raises(UserError, match=r"casme\.xlsx: not a readable"):
    read_annotations(path, LAYOUTS["casme"])


def test_every_fix_names_a_subject_as_its_layout_does():
  for key, fixes in FIXES.items():
    for subject, _ in fixes:
      number = int("".join(c for c in subject if c.isdigit()))
      assert LAYOUTS[key].subject.format(number) == subject
