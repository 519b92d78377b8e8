"""Intervals for ELAN, the annotation tool, and back: tab-delimited text.

What is written has no heading and four columns: tier, begin, end, annotation. ELAN
splits lines at tabs, knows no quotes, takes a time with a point in it for seconds and
keeps milliseconds. Annotations of a tier may not overlap, so intervals that do are laid
on a second tier, "expressions 2". docs/outputs.md says which menus to use.

Facts about the formats: the manual of ELAN 7 (Max Planck Institute for
Psycholinguistics), and what its exporter writes.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infusenet_jax.clips.labels import AU_NAMES, AUS
from infusenet_jax.predict.findings import (
  SIMULATED_WEIGHTS,
  Frames,
  Interval,
  Report,
)
from infusenet_jax.runtime.errors import UserError

EXPRESSIONS, APEX, BLINKS, WEIGHTS = "expressions", "apex", "blinks", "weights"

_STEP = 0.04  # Seconds that a frame lasts where nothing says it.
_BRIEF = 0.4  # Share of a frame that an interval of one frame lasts: it reads as one.
# Kinds of a time, as the exporter writes them.
_KINDS = {
  "clock": re.compile(r"\d+:\d\d:\d\d[.,]\d+"),
  "milliseconds": re.compile(r"\d+"),
  "seconds": re.compile(r"\d+(\.\d+)?"),
}
_MEDIA = re.compile(r'"?#')  # Begins the lines that name the media.
_OURS = re.compile(rf"({EXPRESSIONS})( \d+)?", re.IGNORECASE)
_OTHERS = re.compile(rf"(({APEX}|{BLINKS}|AU\d\d)( \d+)?|{WEIGHTS})", re.IGNORECASE)

Span = tuple[float, float]  # Begin and end, seconds.


@dataclass(frozen=True)
class Timed:
  """An interval that a person marked on the time line; seconds from the first frame."""

  onset: float
  apex: float | None  # None where it was not marked.
  offset: float
  place: str  # Where it was given, for messages.


def to_elan(report: Report) -> str:
  """A report's intervals, blinks and action units as lines for ELAN."""
  lanes, lines = _Lanes(report.frames), []
  by_tier: dict[str, list[tuple[int, int, str]]] = {}
  for interval in report.intervals:
    lane = lanes.place(interval)
    marks = [
      (EXPRESSIONS, *lanes.span(interval), _in_words(interval)),
      (APEX, *lanes.frame(interval.apex), "apex"),
    ]
    for au, p, shown in zip(AUS, interval.probability, interval.decision, strict=True):
      if shown:
        text = f"{AU_NAMES[au]} {p:.2f}"
        marks.append((f"AU{au:02d}", *lanes.span(interval), text))
    for tier, *mark in marks:
      by_tier.setdefault(tier + lane, []).append(tuple(mark))
  for blink in report.blinks:
    by_tier.setdefault(BLINKS, []).append((*lanes.span(blink), "blink"))
  if report.model.get("simulated") and len(report.frames):
    whole = (0, lanes.frame(int(report.frames.number[-1]))[1], SIMULATED_WEIGHTS)
    by_tier[WEIGHTS] = [whole]
  for tier in sorted(by_tier, key=_rank):
    for begin, end, text in by_tier[tier]:
      lines.append(f"{tier}\t{begin / 1000:.3f}\t{end / 1000:.3f}\t{text}\n")
  return "".join(lines)


def _rank(tier: str) -> tuple[int, str]:
  """The order in which ELAN shows the tiers."""
  first = [tier == WEIGHTS, tier.startswith(EXPRESSIONS), tier.startswith(APEX)]
  return (first.index(True) if any(first) else 3 + (tier == BLINKS), tier)


def _in_words(interval: Interval) -> str:
  if not np.isfinite(interval.probability).any():
    return "not judged"
  shown = [f"AU{au:02d}" for au, yes in zip(AUS, interval.decision, strict=True) if yes]
  return " ".join(shown) or "no AU"


class _Lanes:
  """Where intervals go, in milliseconds, and on which of several equal tiers."""

  def __init__(self, frames: Frames):
    self._rows = {int(number): row for row, number in enumerate(frames.number)}
    self._seconds = frames.seconds
    fps = frames.fps
    self._step = 1 / fps if np.isfinite(fps) and fps > 0 else _STEP
    self._ends: list[int] = []

  def frame(self, number: int) -> tuple[int, int]:
    """When a frame begins to be shown and when it ends, milliseconds."""
    row = self._rows[number]
    begin = float(self._seconds[row])
    last = row + 1 == len(self._seconds)
    end = begin + self._step if last else float(self._seconds[row + 1])
    return round(1000 * begin), max(round(1000 * end), round(1000 * begin) + 1)

  def span(self, interval: Interval) -> tuple[int, int]:
    """From the onset's time stamp to the offset's; never empty."""
    begin, end = interval.onset_seconds, interval.offset_seconds
    if interval.onset == interval.offset:
      end = begin + _BRIEF * self._step
    return round(1000 * begin), max(round(1000 * end), round(1000 * begin) + 1)

  def place(self, interval: Interval) -> str:
    """What a tier's name ends in, so that this interval meets no earlier one there."""
    begin, end = self.span(interval)
    end = max(end, self.frame(interval.apex)[1])
    free = [lane for lane, until in enumerate(self._ends) if until <= begin]
    lane = free[0] if free else len(self._ends)
    self._ends[lane : lane + 1] = [end]
    return f" {lane + 1}" if lane else ""


def from_elan(text: str, path: Path) -> list[Timed] | None:
  """The intervals in what ELAN exported as tab-delimited or comma-separated text.

  Understood are lines of an annotation each and tables of a column per tier, with begin
  and end time in any of the formats but SMPTE. The tier "expressions" counts, or the
  only one that is none of ours; apexes are on the tier "apex".

  Returns:
    None where the text is no such export.

  Raises:
    UserError: there are tiers, but none of which it is known that it holds intervals.
  """
  tiers = _tiers(_cells(text))
  if not tiers:
    return None
  ours = [name for name in tiers if _OURS.fullmatch(name)]
  if not ours:
    ours = [name for name in tiers if not _OTHERS.fullmatch(name)]
    if len(ours) != 1:
      raise UserError(
        f"--intervals {path}: has the tiers {', '.join(tiers)}; expected one called"
        f" {EXPRESSIONS}, and {APEX} where apexes are marked"
      )
  lowered = {name.lower(): spans for name, spans in tiers.items()}
  found = []
  for name in ours:
    lane = (matched[2] or "") if (matched := _OURS.fullmatch(name)) else ""
    apexes = lowered.get(APEX + lane, [])
    for number, (begin, end) in enumerate(tiers[name], 1):
      place = f"--intervals {path} tier {name} annotation {number}"
      found.append(Timed(begin, _apex(apexes, begin, end), end, place))
  return sorted(found, key=lambda one: (one.onset, one.offset))


def _apex(apexes: Sequence[Span], begin: float, end: float) -> float | None:
  """The middle of the first apex that is marked within an interval."""
  slack = 0.001  # Times are rounded.
  for first, last in apexes:
    if begin - slack <= first <= end + slack:
      return (first + last) / 2
  return None


def _cells(text: str) -> list[list[str]]:
  lines = [ln for ln in text.splitlines() if ln.strip() and not _MEDIA.match(ln)]
  if any("\t" in line for line in lines[:1]):
    return [line.split("\t") for line in lines]
  return list(csv.reader(lines))


def _tiers(rows: list[list[str]]) -> dict[str, list[Span]]:
  """Annotations' begin and end by tier, in order; none where there are no times."""
  if not rows:
    return {}
  heading = [] if any(_kind(cell) for cell in rows[0][1:]) else rows[0]
  rows = rows[1:] if heading else rows
  if (times := _Times.find(rows)) is None:
    return {}
  tiers: dict[str, list[Span]] = {}
  for row in rows:
    for name in times.tiers(row, heading):
      tiers.setdefault(name.strip(), []).append(times.span(row))
  return tiers


@dataclass(frozen=True)
class _Times:
  """Which columns hold times."""

  kind: str
  begin: int
  end: int
  last: int  # Of all that do: durations follow.

  @classmethod
  def find(cls, rows: list[list[str]]) -> "_Times | None":
    """None where no two columns hold times of one kind."""
    kinds = []
    for column in range(min(map(len, rows), default=0)):
      cells = {_kind(row[column]) for row in rows}
      if cells == {"milliseconds", "seconds"}:
        cells = {"seconds"}  # Whole seconds are among them.
      kinds.append(cells.pop() if len(cells) == 1 else None)
    for kind in filter(None, dict.fromkeys(kinds)):
      begin, *others = (at for at, other in enumerate(kinds) if other == kind)
      if others:
        rest = [*kinds[begin:], None]
        return cls(kind, begin, others[0], begin + rest.index(None) - 1)
    return None

  def tiers(self, row: list[str], heading: list[str]) -> Iterator[str]:
    """The tiers that have an annotation in a line."""
    if heading and not heading[0].lower().startswith("tier"):
      after = slice(self.last + 1, None)
      for name, cell in zip(heading[after], row[after], strict=False):
        if cell.strip():
          yield name
    else:
      yield row[0] if self.begin else EXPRESSIONS

  def span(self, row: list[str]) -> Span:
    """Begin and end of a line's annotations."""
    return self._seconds(row[self.begin]), self._seconds(row[self.end])

  def _seconds(self, cell: str) -> float:
    *larger, seconds = cell.strip().replace(",", ".").split(":")
    minutes = 60 * int(larger[0]) + int(larger[1]) if larger else 0
    return 60 * minutes + float(seconds) / (1000 if self.kind == "milliseconds" else 1)


def _kind(cell: str) -> str | None:
  return next((k for k, form in _KINDS.items() if form.fullmatch(cell.strip())), None)
