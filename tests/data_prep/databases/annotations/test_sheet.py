"""Workbook files: damaged, absurdly large, of many sheets, with odd columns."""

import zipfile

import openpyxl
import pytest

from data_prep.databases.annotations import sheet as sheet_module
from data_prep.databases.annotations.clips import read_annotations
from data_prep.databases.annotations.sheet import MOST_BYTES, read_sheet
from data_prep.databases.layouts import LAYOUTS
from infusenet_jax.runtime.errors import UserError
from tests.data_prep.trees import CASME2_HEADER, FOURD_HEADER, write_workbook

ROW = [1, "EP01", 1, 4, 8, "4", "x"]


@pytest.mark.parametrize("content", [b"", b"not a workbook", b"PK\x03\x04broken"])
def test_file_that_is_no_workbook(tmp_path, content):
  path = tmp_path / "casme.xlsx"
  path.write_bytes(content)
  with pytest.raises(UserError, match=r"casme\.xlsx: not a readable"):
    read_sheet(path, LAYOUTS["casme"])


def respell(path, to, member, spoil):
  """A copy of a workbook with one of its parts changed."""
  with zipfile.ZipFile(path) as whole, zipfile.ZipFile(to, "w", 8) as new:
    for name in whole.namelist():
      data = whole.read(name)
      new.writestr(name, spoil(data) if name == member else data)
  return to


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
  broken = respell(path, tmp_path / "casme.xlsx", member, spoil)
  with pytest.raises(UserError, match=r"casme\.xlsx: not a readable") as caught:
    read_sheet(broken, LAYOUTS["casme"])
  assert "\n" not in str(caught.value)


def test_workbook_whose_compressed_bytes_are_spoilt(tmp_path):
  path = write_workbook(tmp_path / "casme.xlsx", [["Subject"]])
  data = bytearray(path.read_bytes())
  with zipfile.ZipFile(path) as book:
    at = book.getinfo("xl/worksheets/sheet1.xml").header_offset
  data[at + 60 : at + 90] = b"\xff" * 30
  path.write_bytes(data)
  with pytest.raises(UserError, match=r"casme\.xlsx: not a readable"):
    read_sheet(path, LAYOUTS["casme"])


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
  path = write_workbook(tmp_path / "whole.xlsx", [CASME2_HEADER, ROW])
  zeros = b" " * (MOST_BYTES + 1)
  bomb = respell(
    path, tmp_path / "bomb.xlsx", "xl/worksheets/sheet1.xml", lambda xml: xml + zeros
  )
  assert bomb.stat().st_size < 1_000_000
  with pytest.raises(UserError, match=r"bomb\.xlsx: unpacks to 64 MB, an annotation"):
    read_sheet(bomb, LAYOUTS["casme2"])


def test_more_rows_than_any_workbook_has(tmp_path, monkeypatch):
  monkeypatch.setattr(sheet_module, "MOST_ROWS", 5)
  rows = [[i, "EP01", 1, 4, 8, "4", "x"] for i in range(4)]
  path = write_workbook(tmp_path / "book.xlsx", [CASME2_HEADER, *rows])
  with pytest.raises(UserError, match=r"sheet 'Sheet' has 5 rows or more"):
    read_sheet(path, LAYOUTS["casme2"])
  path = write_workbook(tmp_path / "book.xlsx", [CASME2_HEADER, *rows[:3], [], [" "]])
  assert len(read_sheet(path, LAYOUTS["casme2"]).rows) == 3


def test_number_of_more_digits_than_python_reads(tmp_path):
  """One such cell costs its row, not the workbook."""
  rows = [CASME2_HEADER, ROW, [1, "EP02", 777, 778, 779, "4", "x"]]
  path = write_workbook(tmp_path / "whole.xlsx", rows)
  path = respell(
    path,
    tmp_path / "book.xlsx",
    "xl/worksheets/sheet1.xml",
    lambda xml: xml.replace(b"<v>778</v>", b"<v>" + b"7" * 5000 + b"</v>"),
  )
  result = read_annotations(path, LAYOUTS["casme2"], fix=False)
  assert len(result.clips) == 1
  (line,) = result.problems
  assert "row 3 (01/EP02): apex is '777" in line
  assert "... (5,000 characters)" in line
  assert len(line) < 300


def test_dimensions_that_other_programs_write_wrong(tmp_path):
  path = write_workbook(tmp_path / "whole.xlsx", [CASME2_HEADER, ROW])
  path = respell(
    path,
    tmp_path / "book.xlsx",
    "xl/worksheets/sheet1.xml",
    lambda xml: xml.replace(b'ref="A1:G2"', b'ref="A1"'),
  )
  assert read_sheet(path, LAYOUTS["casme2"]).rows == [(2, tuple(ROW))]


def test_of_several_sheets_the_one_of_micro_expressions_is_taken(tmp_path):
  book = openpyxl.Workbook()
  book.active.title = "MaE"
  for title, subject in (("Micro", 1), ("Legend", 2)):
    rows = [CASME2_HEADER, [subject, *ROW[1:]]] if subject == 1 else [["AU", "words"]]
    sheet = book.create_sheet(title)
    for row in rows:
      sheet.append(row)
  for row in (CASME2_HEADER, [9, *ROW[1:]]):
    book["MaE"].append(row)
  book.save(tmp_path / "book.xlsx")
  sheet = read_sheet(tmp_path / "book.xlsx", LAYOUTS["casme2"])
  assert [cells[0] for _, cells in sheet.rows] == [1]
  assert sheet.notes == [
    "book.xlsx: sheet 'MaE' is not taken: macro-expressions",
    "book.xlsx: sheet 'Micro' is taken, not 'Legend'",
  ]


def test_renamed_column_names_what_is_there(tmp_path):
  header = ["Peak" if name == "ApexFrame" else name for name in CASME2_HEADER]
  path = write_workbook(tmp_path / "book.xlsx", [header, ROW])
  with pytest.raises(UserError) as caught:
    read_sheet(path, LAYOUTS["casme2"])
  line = str(caught.value)
  assert "book.xlsx" in line
  assert "apex" in line
  assert "Peak" in line
  assert "\n" not in line


def test_missing_binary_column_is_not_taken_for_zeros(tmp_path):
  header = [name for name in FOURD_HEADER if name != "AU10"]
  path = write_workbook(tmp_path / "book.xlsx", [header])
  with pytest.raises(UserError, match="no column for AU10"):
    read_sheet(path, LAYOUTS["fourd"])
