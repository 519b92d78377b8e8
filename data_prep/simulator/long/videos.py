"""Writes long videos and the truth of every interval in them.

OUT/<video>.mp4 (H.264), OUT/videos.csv (a row per video), OUT/intervals.csv (a row per
event) and, last, OUT/SIMULATED.json. A run that was stopped goes on where it was.
"""

import csv
import dataclasses
import io
import json
import os
from fractions import Fraction
from pathlib import Path

import cv2
from tqdm import tqdm

from data_prep.databases.find import SIMULATED, UNFINISHED
from data_prep.simulator.long.recording import Recording
from data_prep.simulator.long.story import RATES, Story, plan_stories
from data_prep.simulator.writer import is_finished
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock, write_atomically

VERSION = 2  # Raised whenever the same parameters would give other files.
# Constant quality 12 leaves little that an eye could see of the codec. Looking ahead,
# x264 does not write the same bytes twice.
_X264 = "threads=1:rc-lookahead=0:no-mbtree=1"
_CODEC = {"crf": "12", "preset": "veryfast", "x264-params": _X264}
_VIDEOS = "video,kind,camera,fps,frames,width,height,nuisance"
_INTERVALS = (
  "video,kind,onset,apex,offset,onset_seconds,apex_seconds,offset_seconds,aus,peak"
)


@dataclasses.dataclass(frozen=True)
class LongParameters:
  """What long videos are made from, as SIMULATED.json holds it."""

  long: int
  seed: int = 0
  nuisance: float = 1.0
  seconds: float = 40.0
  rates: tuple[float, ...] = RATES
  size: tuple[int, int] = (320, 240)  # (width, height)
  long_version: int = VERSION

  def as_json(self) -> dict:
    """The fields as JSON has them."""
    return json.loads(json.dumps(dataclasses.asdict(self)))


def simulate_long(root: Path, parameters: LongParameters) -> list[Story]:
  """Writes the videos to `root`, or what is missing of them; returns their stories.

  Raises:
    UserError: `root` holds something else, or videos made with other parameters, or
      another run writes there, or it cannot be written.
  """
  stories = plan_stories(
    parameters.long, parameters.seconds, parameters.rates, parameters.seed
  )
  if is_finished(root, parameters.as_json()):
    return stories
  try:
    with lock(root):
      if not is_finished(root, parameters.as_json()):
        _write(root, stories, parameters)
  except OSError as error:
    raise UserError(
      f"{error.filename or root}: cannot be written ({error.strerror}); make room or"
      " choose another --out, then run it again: finished videos are kept"
    ) from error
  return stories


def _write(root: Path, stories: list[Story], parameters: LongParameters) -> None:
  cv2.setNumThreads(1)
  text = json.dumps(parameters.as_json(), indent=1) + "\n"
  (root / UNFINISHED).write_text(text, encoding="utf-8")
  left = [s for s in stories if not (root / f"{s.name}.mp4").exists()]
  with tqdm(total=sum(s.count for s in left), desc="simulate", unit="frame") as bar:
    for story in left:
      _write_video(root / f"{story.name}.mp4", story, parameters, bar)
  write_atomically(root / "videos.csv", _videos_csv(stories, parameters))
  write_atomically(root / "intervals.csv", _intervals_csv(stories))
  os.replace(root / UNFINISHED, root / SIMULATED)


def _write_video(path: Path, story: Story, parameters: LongParameters, bar) -> None:
  import av  # Takes a while, and most simulations write no video.

  recording = Recording(story, parameters.size, parameters.nuisance)
  draft = path.with_suffix(".part.mp4")
  with av.open(str(draft), "w") as file:
    file.metadata["comment"] = "SIMULATED face"
    rate = Fraction(story.fps).limit_denominator(1001)
    stream = file.add_stream("libx264", rate=rate, options=_CODEC)
    stream.width, stream.height = parameters.size
    stream.pix_fmt = "yuv420p"
    for number in range(story.count):
      frame = av.VideoFrame.from_ndarray(recording.frame(number), format="rgb24")
      file.mux(stream.encode(frame))
      bar.update()
    file.mux(stream.encode())
  os.replace(draft, path)


def _videos_csv(stories: list[Story], parameters: LongParameters) -> str:
  rows = [
    (f"{s.name}.mp4", s.kind, s.database, f"{s.fps:g}", s.count, *parameters.size,
     f"{parameters.nuisance:g}")
    for s in stories
  ]  # fmt: skip
  return _csv(_VIDEOS, rows)


def _intervals_csv(stories: list[Story]) -> str:
  """Peaks are of each AU's stronger side, pixels of a 224 px crop."""
  rows = []
  for story in stories:
    for event in story.events:
      frames = event.frames(story.fps)
      peak = max([max(s.left, s.right) for s in event.shown] or event.amount[:1])
      rows.append(
        (f"{story.name}.mp4", event.kind, *frames,
         *(f"{f / story.fps:.3f}" for f in frames),
         " ".join(str(s.au) for s in event.shown),
         f"{peak:.2f}" if event.kind in _IN_PIXELS else "")
      )  # fmt: skip
  return _csv(_INTERVALS, rows)


_IN_PIXELS = ("micro", "macro", "blink", "speech")


def _csv(heading: str, rows: list[tuple]) -> str:
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(heading.split(","))
  writer.writerows(rows)
  return text.getvalue()
