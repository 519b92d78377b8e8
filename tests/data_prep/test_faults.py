"""Each of these once ended in a traceback, a hang or silence: one line, one clip."""

import re
import struct
import zipfile
import zlib

import cv2
import numpy as np
import pytest

from tests.data_prep.trees import write_all, write_casme2, write_clip

RAW = "CASME2_RAW_selected"


def chunk(kind, data):
  check = struct.pack(">I", zlib.crc32(kind + data))
  return struct.pack(">I", len(data)) + kind + data + check


def huge_png():
  """A PNG of 69 bytes whose header claims 60000 x 60000 pixels."""
  header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
  data = chunk(b"IDAT", zlib.compress(b"0"))
  return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def huge_jpeg():
  data = cv2.imencode(".jpg", np.zeros((64, 64), np.uint8))[1].tobytes()
  claim = struct.pack(">HH", 60000, 60000)
  return data.replace(struct.pack(">HH", 64, 64), claim)


def tiny(side):
  return cv2.imencode(".png", np.zeros((side, side), np.uint8))[1].tobytes()


# What the onset of a clip is replaced with, or its row; and what the line says.
FILES = {
  "png": (huge_png(), "img1.jpg: its header claims 60000x60000 pixels"),
  "jpeg": (huge_jpeg(), "img1.jpg: its header claims 60000x60000 pixels"),
  "1x1": (tiny(1), "img1.jpg: 1x1 pixels; a frame has at least 32 a side"),
  "8x8": (tiny(8), "img1.jpg: 8x8 pixels; a frame has at least 32 a side"),
}
ROWS = {
  "offset": ([3, "BAD", 1, 4, 3_000_000_000, "4", "x"], "offset is '3000000000'"),
  "subject": (["3" * 5000, "BAD", 1, 4, 8, "4", "x"], "(5,000 characters) and file"),
  "AU": ([3, "BAD", 1, 4, 8, "4" * 5000, "x"], "(5,000 characters) is too long"),
  "number": ([3, "BAD", "1" * 5000, 4, 8, "4", "x"], "(5,000 characters), more than"),
  "cell": ([3, "BAD", "x" * 32_000, 4, 8, "4", "x"], "(32,000 characters), not a"),
}


@pytest.fixture
def build_and_check(command, tmp_path):
  """Runs both commands on a root: for each the lines, and the table."""

  def run(root):
    build = ["build", "--root", root, "--out", tmp_path / "out", "--size", 64]
    for arguments in (["check", "--root", root], [*build, "--faces", "none"]):
      status, table, lines = command(*arguments)
      yield status, table, lines

  return run


@pytest.mark.parametrize("fault", FILES)
def test_file_that_costs_its_clip(build_and_check, tmp_path, fault):
  content, reason = FILES[fault]
  rows = [[1, "GOOD", 1, 4, 8, "4", "x"], [3, "BAD", 1, 4, 8, "4", "x"]]
  folder = write_casme2(tmp_path / "root", rows)
  (folder / RAW / "sub03/BAD/img1.jpg").write_bytes(content)
  for status, table, lines in build_and_check(tmp_path / "root"):
    assert status == 1
    (line,) = [line for line in lines if "img1.jpg" in line]
    assert reason in line
    assert "casme2 03/BAD: " in line
    assert re.search(r"^CASME II +1 of (256|2) ", table, re.MULTILINE)


@pytest.mark.parametrize("fault", ROWS)
def test_row_that_costs_its_clip(build_and_check, tmp_path, fault):
  row, reason = ROWS[fault]
  good = [1, "GOOD", 1, 4, 8, "4", "x"]
  folder = write_casme2(tmp_path / "root", [good, row], frames=False)
  write_clip(folder / RAW / "sub01/GOOD", "img{}.jpg", 1, 4, 8)
  for status, _, lines in build_and_check(tmp_path / "root"):
    assert status == 1
    (line,) = [line for line in lines if "row 3" in line]
    assert reason in line
    assert line.endswith("left out until that is put right in the workbook")
    assert len(line) < 400


def test_offset_of_a_billion_is_counted_on_disk(build_and_check, tmp_path):
  row = [1, "GOOD", 1, 4, 999_999_999, "4", "x"]
  folder = write_casme2(tmp_path / "root", [row], frames=False)
  write_clip(folder / RAW / "sub01/GOOD", "img{}.jpg", 1, 4, 8)
  (_, table, _), (_, built, _) = build_and_check(tmp_path / "root")
  assert "999999991" in table
  assert "1 of 1" in built


def test_zip_bomb_costs_its_database_alone(build_and_check, tmp_path):
  write_all(tmp_path / "root")
  book = tmp_path / "root/casme/casme.xlsx"
  with zipfile.ZipFile(book, "a", zipfile.ZIP_DEFLATED) as parts:
    parts.writestr("xl/media/a.xml", b" " * 65_000_000)
  for status, table, lines in build_and_check(tmp_path / "root"):
    assert status == 2
    (line,) = [line for line in lines if "casme.xlsx" in line]
    assert "unpacks to 65 MB, an annotation workbook to at most 64 MB" in line
    assert table.count("2 of ") >= 5
