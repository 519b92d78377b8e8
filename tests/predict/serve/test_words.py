"""What the page says is said of the right video, and names are not taken for HTML."""

import dataclasses

import pytest

from infusenet_jax.predict.given import read_intervals
from infusenet_jax.predict.serve import words
from infusenet_jax.predict.serve.desk import FAILED, FINISHED, WORKING, Task, Video
from infusenet_jax.predict.serve.task import FOLLOWING
from infusenet_jax.runtime.errors import UserError
from tests.predict.reports import make_report


@pytest.fixture
def video(tmp_path):
  """A finished one."""
  make_report().save(tmp_path / "found")
  task = Task(tmp_path / "Müller <b>.mp4", tmp_path / "found")
  return Video(3, task, FINISHED, version=2, counts=(2, 1))


def test_states_in_words(video):
  change = dataclasses.replace
  assert words.state_in_words(video) == "2 intervals, 1 blink"
  still = change(video, counts=(0, 0))
  assert words.state_in_words(still) == "0 intervals"
  assert words.state_in_words(change(still, has_face=False)) == "no face was found"
  working = change(video, state=WORKING, progress=(FOLLOWING, 1200, 2400))
  assert words.state_in_words(working) == "following the face, frame 1,200 of 2,400"
  begun = change(working, since=working.since - 60)
  assert words.state_in_words(begun).endswith(" of 2,400, 60 s left")
  unknown = change(working, progress=(FOLLOWING, 7, 0))
  said = words.state_in_words(unknown)
  assert said == "following the face, frame 7, the first video takes longer"
  failed = change(video, state=FAILED, reason="a < b")
  page = words.status([video, working, unknown, failed])
  assert "Müller &lt;b&gt;.mp4" in page and "<b>.mp4" not in page
  assert "width:50.0%" in page and "data-unknown" in page and "a &lt; b" in page
  assert "No video yet" in words.status([])


def test_a_result_names_its_files_and_is_shut_in(video):
  page = words.result(video)
  assert 'href="videos/3/2/intervals.elan.txt" download' in page
  assert 'sandbox="allow-scripts" src="videos/3/2/report.html"' in page
  assert "allow-same-origin" not in page and "<video" not in page
  (video.task.out / "report.mp4").write_bytes(b"film")
  assert '<video src="videos/3/2/report.mp4"' in words.result(video)
  assert "will be shown here" in words.result(None)


def test_the_table_goes_out_and_comes_back(video, tmp_path):
  rows = words.table(video)
  assert rows[0][:5] == [100, 108, 120, "1.00", "1.20"]
  assert rows[0][5].startswith("AU09 nose wrinkler, AU10")
  path = tmp_path / "table.csv"
  edited = [["7", 9.0, "11", "", "", ""], [None, "", float("nan")], rows[1]]
  words.write_table(edited, path)
  given = read_intervals(path).of(video.name)
  assert [(g.onset, g.apex, g.offset) for g in given] == [(7, 9, 11), (500, 508, 520)]
  with pytest.raises(UserError, match="there are none in the table"):
    words.write_table(words.table(None), path)


def test_a_notice_is_text():
  assert words.notice() == ""
  assert "&lt;script&gt;" in words.notice("<script>")


def test_frames_a_second_as_people_type_them():
  assert [words.frame_rate(text) for text in ("", " ", "200", "29,97")] == [
    *(None, None, 200, 29.97)
  ]
  for text in ("x", "0", "-5", "nan", "1e9"):
    with pytest.raises(UserError, match=f"'{text}', expected a number above 0"):
      words.frame_rate(text)
