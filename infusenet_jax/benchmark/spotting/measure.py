"""Runs the spotters over a folder of simulated videos, each video read once."""

import csv
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

from infusenet_jax.benchmark.spotting.baselines import RATE, MainDirection, Nose
from infusenet_jax.benchmark.spotting.metric import Span, count
from infusenet_jax.predict.findings import Frames
from infusenet_jax.predict.watch.spotting import spot
from infusenet_jax.predict.watch.track import Seen, follow
from infusenet_jax.runtime.errors import UserError

OURS = "this project"
SPOTTERS = (OURS, "main direction (MDMD-like)", "nose-referenced flow")
SHARES = (0.35, 0.45, 0.55, 0.65, 0.75, 0.85)  # 0.55 is the literature's.
ADVICE = "write one with `python -m data_prep simulate --long 12 --out {}`"


@dataclass(frozen=True)
class Event:
  """A row of intervals.csv."""

  kind: str
  span: Span
  peak: float  # Pixels of a 224 px crop; NaN where there is none.


@dataclass
class Video:
  """A simulated video, what is true of it and what each spotter said."""

  name: str
  kind: str  # "expressions", "everyday" or "still".
  fps: float
  nuisance: float
  seed: int
  frames: int
  events: list[Event]
  found: dict[str, list[Span]] = field(default_factory=dict)
  # What each other spotter finds with each p of the rule for peaks.
  by_share: dict[str, dict[float, list[Span]]] = field(default_factory=dict)
  blinks: list[Span] = field(default_factory=list)  # That ours called blinks.
  cost: float = 0.0  # Seconds of CPU a frame, of ours alone with decoding.

  def true(self, kind: str) -> list[Span]:
    """The spans of the events of a kind."""
    return [event.span for event in self.events if event.kind == kind]

  @property
  def minutes(self) -> float:
    """How long it lasts."""
    return self.frames / self.fps / 60


def read_folder(folder: Path) -> list[Video]:
  """The videos of a folder and what is true of them.

  Raises:
    UserError: the folder holds no long videos, or not all of them.
  """
  try:
    made = json.loads((folder / "SIMULATED.json").read_text(encoding="utf-8"))
    seed, rows = made["seed"], _rows(folder / "videos.csv")
    events = _rows(folder / "intervals.csv")
  except (OSError, ValueError, KeyError) as error:
    raise UserError(
      f"{folder}: no folder of simulated long videos ({error}); {ADVICE.format(folder)}"
    ) from error
  return [
    Video(
      name=row["video"],
      kind=row["kind"],
      fps=float(row["fps"]),
      nuisance=float(row["nuisance"]),
      seed=seed,
      frames=int(row["frames"]),
      events=[
        Event(
          e["kind"],
          (int(e["onset"]), int(e["offset"])),
          float(e["peak"]) if e["peak"] else math.nan,
        )
        for e in events
        if e["video"] == row["video"]
      ],
    )
    for row in rows
  ]


def choose_shares(videos: list[Video]) -> dict[str, float]:
  """Gives each other spotter the p that suits it best on these very videos.

  Returns:
    That p by spotter; `found` of the videos is filled in with what it finds.
  """
  chosen = {}
  for name in SPOTTERS[1:]:
    f1 = {
      share: count((v.by_share[name][share], v.true("micro")) for v in videos).f1
      for share in SHARES
    }
    chosen[name] = max(SHARES, key=lambda share: np.nan_to_num(f1[share]))
    for video in videos:
      video.found[name] = video.by_share[name][chosen[name]]
  return chosen


def _rows(path: Path) -> list[dict[str, str]]:
  with open(path, newline="", encoding="utf-8") as file:
    return list(csv.DictReader(file))


def measure(folder: Path) -> list[Video]:
  """Reads a folder's videos and lets every spotter find what it finds in them.

  Raises:
    UserError: the folder holds no long videos, or a video cannot be read.
  """
  videos = read_folder(folder)
  with tqdm(total=sum(v.frames for v in videos), unit="frame", desc=str(folder)) as bar:
    for video in videos:
      _measure(folder / video.name, video, bar)
  return videos


def _measure(path: Path, video: Video, bar) -> None:
  step = max(1, math.ceil(video.fps / RATE - 1e-6))
  others = {
    SPOTTERS[1]: MainDirection(video.fps / step),
    SPOTTERS[2]: Nose(video.fps / step),
  }
  spent = [0.0]

  def watch(seen: Seen) -> None:
    start = time.process_time()
    bar.update()
    if seen.crop is not None and seen.number % step == 0:
      for spotter in others.values():
        spotter.add(seen.crop)
    spent[0] += time.process_time() - start

  start = time.process_time()
  frames, _ = follow(_frames(path), watch=watch)
  spots = spot(frames)
  video.cost = (time.process_time() - start - spent[0]) / max(1, len(frames))
  _check(path, video, frames)
  spans = {
    kind: [(s.onset, s.offset) for s in spots if s.kind == kind]
    for kind in ("expression", "blink")
  }
  video.found[OURS], video.blinks = spans["expression"], spans["blink"]
  for name, spotter in others.items():
    video.by_share[name] = {
      share: [(a * step, b * step) for a, b in spotter.spans(share)] for share in SHARES
    }


def _check(path: Path, video: Video, frames: Frames) -> None:
  if len(frames) != video.frames or not np.all(frames.success):
    raise UserError(
      f"{path}: {len(frames)} frames, {int(frames.success.sum())} with a face,"
      f" expected {video.frames} of both; {ADVICE.format(path.parent)}"
    )


def _frames(path: Path) -> Iterator[tuple[int, float, np.ndarray]]:
  try:
    with av.open(str(path)) as file:
      for number, frame in enumerate(file.decode(video=0)):
        yield number, float(frame.time), frame.to_ndarray(format="rgb24")
  except (OSError, av.FFmpegError) as error:
    raise UserError(f"{path}: cannot be read ({error}); simulate it again") from error
