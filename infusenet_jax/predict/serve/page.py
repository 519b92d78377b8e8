"""The page: drop a video, watch, read the report, correct, download."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from infusenet_jax.predict.findings import SIMULATED_WEIGHTS
from infusenet_jax.predict.serve import words
from infusenet_jax.predict.serve.desk import Desk
from infusenet_jax.predict.serve.task import Weights
from infusenet_jax.predict.watch.video import VIDEOS
from infusenet_jax.runtime.errors import UserError

_EVERY = 1.0  # Seconds between two looks at how videos are doing.
_ABOUT = (
  "<h1>Action units in a video</h1><p>Finds brief facial expressions and says which"
  " action units they show. Nothing leaves the computer that this page comes from."
  " Videos and results are deleted when the server ends: download what you want to"
  " keep.</p>"
)
_HOW_TO_CORRECT = (
  "<p>Frames are counted from 0. Change onset, apex and offset, delete or add rows,"
  " then have the action units named again.</p>"
)
_PRIVATE = {"api_visibility": "private", "show_progress": "hidden", "queue": False}


class Shown(NamedTuple):
  """What a page shows: which video's result, which version, which others, the list."""

  number: int = 0
  version: int = 0
  choices: tuple[int, ...] = ()
  status: str = ""


def build_page(desk: Desk, weights: Sequence[Weights]) -> gr.Blocks:
  """The page, for whatever the desk holds; `weights` can be chosen, the first at once.

  Whoever opens it sees the same videos: the server is one person's, or a group's.
  """
  acts = _Acts(desk, weights)
  with gr.Blocks(title="Action units in a video", analytics_enabled=False) as page:
    gr.HTML(_ABOUT)
    badge = gr.HTML(acts.badge(weights[0].name))
    with gr.Row(equal_height=False):
      with gr.Column(scale=3, min_width=300):
        files = gr.File(
          label="Videos",
          file_count="multiple",
          file_types=list(VIDEOS),
          height=190,
          elem_id="files",
        )
      with gr.Column(scale=2, min_width=300):
        choice = gr.Dropdown(
          [one.name for one in weights],
          value=weights[0].name,
          label="Weights",
          interactive=len(weights) > 1,
        )
        movie = gr.Checkbox(label="also make a film (report.mp4)", value=False)
        fps = gr.Textbox(
          label="Frames a second, where the file's are wrong",
          placeholder="the file's own",
          max_lines=1,
        )
        start = gr.Button("Find action units", variant="primary", elem_id="start")
    said = gr.HTML(words.notice())
    status = gr.HTML(words.status(desk.videos()), elem_id="status")
    shown, picked = gr.State(Shown()), gr.State(None)
    chosen = gr.Dropdown([], label="Video", visible=False, elem_id="chosen")
    found = gr.HTML(words.result(None), elem_id="found")
    with gr.Accordion(
      "Correct the intervals", open=False, visible=False, elem_id="correct"
    ) as correct:
      gr.HTML(_HOW_TO_CORRECT)
      table = gr.Dataframe(
        headers=words.HEADINGS,
        datatype=["number"] * words.NEEDED + ["str"] * 3,
        column_count=len(words.HEADINGS),
        static_columns=list(range(words.NEEDED, len(words.HEADINGS))),
        type="array",
        interactive=True,
        label="Intervals",
        buttons=[],
        elem_id="table",
      )
      with gr.Row():
        again = gr.Button(
          "Name the action units again", variant="primary", elem_id="again"
        )
        given = gr.UploadButton(
          "Take intervals from a file (intervals.csv, ELAN's export)",
          file_types=[".csv", ".txt", ".tsv"],
          elem_id="given",
        )
    remove = gr.Button("Remove this video", visible=False, size="sm")

    view = [shown, status, chosen, found, table, correct, remove]
    timer = gr.Timer(_EVERY)
    timer.tick(acts.look, [shown, picked], view, **_PRIVATE)
    page.load(acts.look, [shown, picked], view, **_PRIVATE)
    chosen.input(acts.pick, [shown, chosen], [picked, *view], **_PRIVATE)
    choice.input(acts.badge, choice, badge, **_PRIVATE)
    start.click(
      acts.submit, [files, choice, fps, movie], [files, said, status], **_PRIVATE
    )
    again.click(acts.correct, [chosen, table], [said, status], **_PRIVATE)
    given.upload(acts.correct_by_file, [chosen, given], [said, status], **_PRIVATE)
    remove.click(acts.remove, chosen, [said, status, chosen], **_PRIVATE)
  return page


class _Acts:
  """What happens when somebody does something on the page."""

  def __init__(self, desk: Desk, weights: Sequence[Weights]):
    self._desk = desk
    self._weights = {one.name: one for one in weights}

  def badge(self, choice: str) -> str:
    """What must be known of the chosen weights."""
    simulated = self._weights[choice].simulated
    return f'<p class="badge">{SIMULATED_WEIGHTS}</p>' if simulated else ""

  def submit(self, files, choice: str, fps: str, movie: bool) -> tuple:
    """Takes videos in; those that are refused stay where they were dropped."""
    lines, rest = [], []
    for file in files or ():
      try:
        wishes = {"fps": words.frame_rate(fps), "movie": movie}
        self._desk.add(Path(file), run=self._weights[choice].run, **wishes)
      except UserError as error:
        lines.append(str(error))
        rest.append(file)
    if not files:
      lines = ["no video yet: drop one above, or click there to choose"]
    said = words.notice("; ".join(dict.fromkeys(lines)))
    return rest or None, said, self._status()

  def look(self, shown: Shown, choice: int | None) -> tuple:
    """What the page must show now; what has not changed is left as it is.

    Args:
      shown: what it shows.
      choice: the video that somebody chose; else the first one with a result.
    """
    videos = {video.number: video for video in self._desk.videos()}
    ready = [video for video in videos.values() if video.version]
    video = videos.get(choice) or next(iter([*ready, *videos.values()]), None)
    now = Shown(
      video.number if video else 0,
      video.version if video else 0,
      tuple(videos),
      self._status(),
    )
    status = gr.skip() if now.status == shown.status else now.status
    if now[:3] == shown[:3]:
      return (now, status, *[gr.skip()] * 5)
    chosen = gr.Dropdown(
      [(f"{number}. {one.name}", number) for number, one in videos.items()],
      value=now.number or None,
      visible=len(videos) > 1,
    )
    remove = gr.update(visible=bool(videos))
    if now[:2] == shown[:2]:
      return (now, status, chosen, *[gr.skip()] * 3, remove)
    shown = video if video and video.version else None
    correct = gr.update(visible=shown is not None)
    return (
      now,
      status,
      chosen,
      words.result(shown),
      words.table(shown),
      correct,
      remove,
    )

  def pick(self, shown: Shown, choice: int | None) -> tuple:
    """Shows a video that somebody chose, and goes on showing it."""
    return choice, *self.look(shown, choice)

  def correct(self, number: int | None, rows: Sequence[Sequence]) -> tuple[str, str]:
    """Has the action units named again, for the intervals of the table."""
    with tempfile.NamedTemporaryFile(suffix=".csv", delete=False) as file:
      path = Path(file.name)
    return self._correct(number, path, lambda: words.write_table(rows, path))

  def correct_by_file(self, number: int | None, file: str) -> tuple[str, str]:
    """The same, for the intervals of a table that was uploaded."""
    return self._correct(number, Path(file), lambda: None)

  def _correct(self, number, path: Path, prepare) -> tuple[str, str]:
    try:
      prepare()
      self._desk.correct(number, path)
    except UserError as error:
      return words.notice(str(error)), self._status()
    line = "the action units are being named again; the report will change by itself"
    return words.notice(line, good=True), self._status()

  def remove(self, number: int | None) -> tuple:
    """Deletes a video with all that was found in it."""
    self._desk.remove(number)
    return words.notice(), self._status(), None

  def _status(self) -> str:
    return words.status(self._desk.videos())
