"""What the page says: pieces of HTML and tables, made of what the desk knows."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from infusenet_jax.clips.labels import AU_NAMES
from infusenet_jax.evaluate.report.environment import environment
from infusenet_jax.predict.serve.desk import FAILED, FINISHED, WAITING, Video
from infusenet_jax.predict.serve.task import FOLLOWING
from infusenet_jax.predict.show import outputs
from infusenet_jax.predict.watch.video import MOST_FPS
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.text import duration

TEMPLATES = environment("infusenet_jax.predict.serve")
HEADINGS = ["onset", "apex", "offset", "onset s", "offset s", "action units"]
NEEDED = 3  # Columns of it that a person may change.
_FEW = 10  # Frames that are read before programs are compiled.


def status(videos: Sequence[Video]) -> str:
  """The list of videos, as HTML."""
  template = TEMPLATES.get_template("videos.html.j2")
  return template.render(videos=videos, words=state_in_words)


def state_in_words(video: Video) -> str:
  """How a video is doing: "following the face, frame 20 of 600, 12 s left"."""
  if video.state == WAITING:
    return "waits for its turn"
  if video.state == FINISHED:
    return found_in_words(video)
  if video.state == FAILED:
    return "failed"
  what, done, count = video.progress
  if not what:
    return "getting ready"
  of = f" of {count:,}" if count else ""
  if (left := video.seconds_left) is not None:
    more = f", {duration(left)} left"
  else:
    more = ", the first video takes longer" if what == FOLLOWING and done < _FEW else ""
  return f"{what}, frame {done:,}{of}{more}"


def found_in_words(video: Video) -> str:
  """The number of intervals and blinks in a finished video, or that it has no face."""
  count, blinks = video.counts
  if not (video.has_face or count):
    return "no face was found"
  words = f"{count} interval{'s' * (count != 1)}"
  return words + (f", {blinks} blink{'s' * (blinks != 1)}" if blinks else "")


def result(video: Video | None) -> str:
  """The report and the files of a video, as HTML."""
  template = TEMPLATES.get_template("result.html.j2")
  about = {"page": outputs.PAGE, "movie": outputs.MOVIE}
  return template.render(video=video, address=address, **about)


def address(video: Video, name: str) -> str:
  """Where the page fetches a file of a video; another one after each result."""
  return f"videos/{video.number}/{video.version}/{quote(name)}"


def notice(line: str = "", good: bool = False) -> str:
  """A line that is to be noticed, as HTML."""
  return TEMPLATES.from_string(
    '{% if line %}<p class="notice{{ " good" if good }}" role="status">{{ line }}</p>'
    "{% endif %}"
  ).render(line=line, good=good)


def table(video: Video | None) -> list[list]:
  """A video's intervals, to be corrected: rows with the columns of HEADINGS.

  There is always a row to type into; `write_table` passes over those left empty.
  """
  rows = []
  for found in video.found()["intervals"] if video else ():
    shown = [name for name, yes in found["decision"].items() if yes]
    words = ", ".join(f"{name} {AU_NAMES[int(name[2:])]}" for name in shown) or "none"
    seconds = [f"{found[f'{n}_seconds']:.2f}" for n in ("onset", "offset")]
    rows.append([*(found[n] for n in HEADINGS[:NEEDED]), *seconds, words])
  return rows or [[None] * NEEDED + [""] * (len(HEADINGS) - NEEDED)]


def frame_rate(text: str) -> float | None:
  """Frames a second as somebody typed them; None where nothing is typed.

  Raises:
    UserError: it is no such number.
  """
  if not text.strip():
    return None
  try:
    if 0 < (fps := float(text.replace(",", "."))) <= MOST_FPS:
      return fps
  except ValueError:
    pass
  raise UserError(
    f"frames a second: {text.strip()!r}, expected a number above 0 and up to {MOST_FPS}"
  )


def write_table(rows: Sequence[Sequence], path: Path) -> None:
  """Writes what a person made of a table, as `predict --intervals` reads it.

  Raises:
    UserError: there is no row.
  """
  cells = [[_cell(value) for value in row[:NEEDED]] for row in rows]
  cells = [row for row in cells if any(row)]
  if not cells:
    raise UserError("intervals: there are none in the table, expected one a row")
  text = io.StringIO(newline="")
  csv.writer(text).writerows([HEADINGS[:NEEDED], *cells])
  path.write_text(text.getvalue(), encoding="utf-8", newline="")


def _cell(value: object) -> str:
  if value is None or (isinstance(value, float) and math.isnan(value)):
    return ""
  return str(value).strip()
