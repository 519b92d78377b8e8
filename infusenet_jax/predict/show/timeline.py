"""The time line of a video: motion by region, thinned so that long videos fit a page.

Its lines are drawn here once, for the whole video, so that the page needs no script;
the script draws them again, from the samples, where a reader looks closer.
"""

import base64
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from infusenet_jax.predict.findings import REGIONS, Frames, Interval, Report

MOST_SAMPLES = 20_000  # Of a line; beyond, a sample is the largest of several frames.
COLUMNS = 500  # Points of a line of the whole video.
WIDTH, HEIGHT = 1000, 100  # Of a lane, in its own units.
HUNDREDTHS = 65535  # The code of "no face"; others are hundredths of a percent.
LEAST_TOP = 1.0  # % of the eye distance that a lane's height stands for at least.
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
_TOPS = (1, 1.25, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 8, 10)  # Round heights of a lane.
_ROOM = 2.5  # % of the width that the number of a mark takes.


class Lane(NamedTuple):
  """The line of one region: its name in words and its path."""

  words: str
  path: str


class Mark(NamedTuple):
  """Something that lasts from one second to another; `number` is of an interval."""

  number: int
  words: str
  start: float
  end: float
  left: float  # % of the whole.
  width: float
  crowded: bool  # There is no room for its number.


class Tick(NamedTuple):
  """A time on the axis, and where, in % of the whole."""

  left: float
  words: str


class Samples(NamedTuple):
  """Base64 of arrays of S samples, little-endian, that the script reads."""

  seconds: str  # (S,) float64.
  number: str  # (S,) int32, of the first frame.
  motion: str  # (R, S) uint16.
  frames: int  # In a sample.


class Timeline(NamedTuple):
  """All that the time line shows."""

  start: float
  end: float
  top: float  # % of the eye distance at the top of a lane.
  cut: bool  # Whether a line goes beyond.
  lanes: list[Lane]
  expressions: list[Mark]
  blinks: list[Mark]
  lost: list[Mark]
  ticks: list[Tick]
  samples: Samples


def region_words(region: str) -> str:
  """A region's name for people: "left brow"."""
  part, _, side = region.partition("_")
  return f"{side} {part}" if side else part


def timeline(report: Report) -> Timeline:
  """Lays out the motion, intervals, blinks and face losses of a report.

  Raises:
    ValueError: the report has no frames.
  """
  frames = report.frames
  if not len(frames):
    raise ValueError(f"{report.source}: no frames, expected at least one")
  start, end = float(frames.seconds[0]), _end(frames)
  seconds, number, motion, thinned = _thin(frames)
  top = _top(motion, report.intervals)
  spans = [(i.onset_seconds, i.offset_seconds) for i in report.intervals]
  closed = [(i.onset_seconds, i.offset_seconds) for i in report.blinks]
  return Timeline(
    start=start,
    end=end,
    top=top,
    cut=bool((motion > top).any()),
    lanes=[
      Lane(region_words(name), _path(seconds, values, start, end, top))
      for name, values in zip(REGIONS, motion.T, strict=True)
    ],
    expressions=_marks("Interval", spans, start, end),
    blinks=_marks("Blink", closed, start, end),
    lost=_marks("No face", face_losses(frames), start, end),
    ticks=_ticks(start, end),
    samples=Samples(
      _base64(seconds, "<f8"), _base64(number, "<i4"), _codes(motion), thinned
    ),
  )


def face_losses(frames: Frames) -> list[tuple[float, float]]:
  """(start, end) in seconds of the runs of frames without a face."""
  edges = np.flatnonzero(np.diff(np.r_[True, frames.success, True].astype(int)))
  times = np.r_[frames.seconds, _end(frames)]
  return [
    (float(a), float(b))
    for a, b in zip(times[edges[::2]], times[edges[1::2]], strict=1)
  ]


def clock(seconds: float, digits: int = 0) -> str:
  """A time as people write it: "7.5 s" below a minute, "1:07.5" above."""
  seconds = round(seconds, digits)
  if seconds < 60:
    return f"{seconds:.{digits}f} s"
  minutes, rest = divmod(seconds, 60)
  width = 2 + (digits + 1 if digits else 0)
  hours, minutes = divmod(int(minutes), 60)
  text = f"{minutes:02d}" if hours else f"{minutes}"
  return f"{hours}:" * bool(hours) + f"{text}:{rest:0{width}.{digits}f}"


def _end(frames: Frames) -> float:
  """When the last frame ends."""
  step = 1 / frames.fps if frames.fps > 0 else 0.0
  return float(frames.seconds[-1]) + (step if 0 < step < np.inf else 0.04)


def _thin(frames: Frames) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
  """Seconds, frame numbers and largest motion of groups of frames, and their size."""
  size = -(-len(frames) // MOST_SAMPLES)
  first = np.arange(0, len(frames), size)
  motion = np.fmax.reduceat(frames.motion, first, axis=0)
  return frames.seconds[first], frames.number[first], motion, size


def _top(motion: np.ndarray, intervals: Sequence[Interval]) -> float:
  """The motion at the top of the lanes: blinks and turns of the head may go beyond."""
  known = motion[np.isfinite(motion)]
  # Without intervals, that which all but a thousandth stay below.
  highest = [i.motion_percent for i in intervals if np.isfinite(i.motion_percent)]
  usual = float(np.percentile(known, 99.9)) if known.size else 0.0
  wanted = max(LEAST_TOP, 1.15 * (max(highest) if highest else usual))
  scale = 10 ** np.floor(np.log10(wanted))
  return float(next(s * scale for s in _TOPS if s * scale >= wanted))


def _path(
  seconds: np.ndarray, values: np.ndarray, start: float, end: float, top: float
) -> str:
  """The area under a line; where there is no face there is none."""
  x = (seconds - start) / (end - start) * COLUMNS
  if len(x) > COLUMNS:
    column = np.minimum(x.astype(int), COLUMNS - 1)
    first = np.flatnonzero(np.diff(column, prepend=-1))
    x, values = column[first] + 0.5, np.fmax.reduceat(values, first)
  x = np.round(x * WIDTH / COLUMNS, 1)
  y = np.round(HEIGHT * (1 - np.clip(values / top, 0, 1)))
  seen = np.isfinite(values)
  edges = np.flatnonzero(np.diff(np.r_[False, seen, False].astype(int)))
  parts = []
  for a, b in zip(edges[::2], edges[1::2], strict=True):
    line = "L".join(f"{u:g},{v:g}" for u, v in zip(x[a:b], y[a:b], strict=True))
    last = x[b - 1] + (WIDTH / len(x) if b - a == 1 else 0)  # One alone is a step.
    lonely = f"L{last:g},{y[b - 1]:g}" if b - a == 1 else ""
    parts.append(f"M{x[a]:g},{HEIGHT}L{line}{lonely}L{last:g},{HEIGHT}Z")
  return "".join(parts)


def _marks(
  kind: str, spans: Sequence[tuple[float, float]], start: float, end: float
) -> list[Mark]:
  marks, taken = [], -_ROOM
  for number, (first, last) in enumerate(spans, 1):
    left = 100 * (first - start) / (end - start)
    width = 100 * (last - first) / (end - start)
    crowded = left + width / 2 < taken + _ROOM
    taken = taken if crowded else left + width / 2
    words = f"{kind} {number}: {clock(first, 2)} to {clock(last, 2)}"
    marks.append(Mark(number, words, first, last, left, width, crowded))
  return marks


def _ticks(start: float, end: float) -> list[Tick]:
  """At most seven, at round times."""
  span = end - start
  step = next((s for s in _STEPS if span / s <= 6), 600 * np.ceil(span / 3600))
  digits = 2 if step < 0.1 else 1 if step < 1 else 0
  times = np.arange(np.ceil(start / step - 1e-9), end / step + 1e-9) * step
  return [Tick(100 * (t - start) / span, clock(t, digits)) for t in times.tolist()]


def _codes(motion: np.ndarray) -> str:
  """Motion (S, R) as base64 of (R, S) uint16."""
  codes = np.clip(np.nan_to_num(np.round(100 * motion.T)), 0, HUNDREDTHS - 1)
  return _base64(np.where(np.isfinite(motion.T), codes, HUNDREDTHS), "<u2")


def _base64(values: np.ndarray, dtype: str) -> str:
  return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()
