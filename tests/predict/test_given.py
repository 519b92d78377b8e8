"""Intervals come in as they went out, as people's spreadsheets save them, or not."""

import numpy as np
import pytest

from infusenet_jax.predict.findings import Frames
from infusenet_jax.predict.given import Given, read_intervals, to_spots
from infusenet_jax.runtime.errors import UserError
from tests.predict.show.test_outputs import make_report


def read(path, text, encoding="utf-8"):
  path.write_bytes(text.encode(encoding))
  return read_intervals(path)


def numbers(given):
  return [(one.onset, one.apex, one.offset) for one in given]


def test_what_was_written_is_read_again(tmp_path):
  make_report("Müller=1.mp4").save(tmp_path)
  table = read_intervals(tmp_path / "intervals.csv")
  assert numbers(table.of("Müller=1.mp4")) == [(0, 2, 2)] * 2
  assert table.of("other.mp4", alone=False) == []
  with pytest.raises(UserError, match=r"no intervals of other\.mp4, but of Müller=1"):
    table.of("other.mp4")


@pytest.mark.parametrize(
  "text",
  [
    "onset,apex,offset\n3,5,9\n10,10,10\n",
    "Onset;Apex;Offset\r\n3;5;9\r\n10;10;10\r\n",
    "\ufeffonset\tapex\toffset\tnote\n3\t5\t9\n\n10.0\t10\t10\tx\n",
    "offset,x,apex,onset\n9,,5,3\n10,,10,10\n",
  ],
)
def test_spreadsheets_of_other_countries_and_habits(tmp_path, text):
  assert numbers(read(tmp_path / "a.csv", text).of("any.mp4")) == [(3, 5, 9), (10,) * 3]


def test_intervals_of_nobody_knows_which_video(tmp_path):
  table = read(tmp_path / "a.csv", "onset,apex,offset\n3,5,9\n")
  with pytest.raises(UserError, match="for several of them it needs"):
    table.of("any.mp4", alone=False)


@pytest.mark.parametrize(
  ("text", "reason"),
  [
    ("", "lacks the column onset, apex, offset"),
    ("onset,offset\n1,2\n", "lacks the column apex"),
    ("onset,apex,offset\n", "lists no intervals"),
    ("onset,apex,offset\n1,2,3\n4,x,6\n", "line 3: apex is 'x', expected the number"),
    ("onset,apex,offset\n1,2.5,3\n", r"line 2: apex is '2\.5'"),
    ("onset,apex,offset\n1,nan,3\n", "line 2: apex is 'nan'"),
    ("onset,apex,offset\n5,2,3\n", "line 2: onset 5, apex 2, offset 3; expected"),
    ("onset,apex,offset\n-1,2,3\n", "expected frame numbers from 0"),
    ('onset,apex,offset\n"1,2,3\n', "is not a CSV file"),
  ],
)
def test_tables_that_are_refused_in_one_line(tmp_path, text, reason):
  with pytest.raises(UserError, match=reason) as refusal:
    read(tmp_path / "a.csv", text)
  assert "\n" not in str(refusal.value) and "a.csv" in str(refusal.value)


def test_files_that_are_no_tables(tmp_path):
  with pytest.raises(UserError, match="cannot be read"):
    read_intervals(tmp_path / "absent.csv")
  with pytest.raises(UserError, match="save it as CSV UTF-8"):
    read(tmp_path / "a.csv", "onset,apex,offset,Müller\n", "latin-1")


def frames(first=5):
  nan = np.full((6, 13), 1.0)
  return Frames(
    number=np.arange(first, first + 6),
    seconds=np.arange(6) / 50,
    success=np.ones(6, bool),
    confidence=np.ones(6),
    box=np.ones((6, 4)),
    eyes=np.ones((6, 2, 2)),
    motion=nan,
  )


def test_frame_numbers_become_rows_in_order_of_time():
  spots = to_spots([Given(8, 9, 10, "b"), Given(5, 6, 7, "a")], frames())
  assert [(s.onset, s.apex, s.offset, s.kind) for s in spots] == [
    (0, 1, 2, "given"),
    (3, 4, 5, "given"),
  ]


def test_frames_that_are_not_there():
  with pytest.raises(
    UserError, match="line 7: offset is frame 11, but the frames that"
  ):
    to_spots([Given(8, 9, 11, "line 7")], frames())
