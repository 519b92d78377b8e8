"""report.html of a video: one file that works offline, for people who look at faces.

Here are the data that the page shows; how it shows them is in templates/.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from infusenet_jax.clips.faces.alignment import EYES_APART
from infusenet_jax.clips.frames.images import (
  flow_colours,
  flow_scale,
  frame_uri,
  heat_colours,
)
from infusenet_jax.clips.labels import AU_NAMES, AUS
from infusenet_jax.evaluate.documents import to_json
from infusenet_jax.evaluate.report.environment import environment
from infusenet_jax.predict.findings import (
  EXPRESSION_SECONDS,
  LEAST_FRAMES,
  SHOWN,
  SIMULATED_WEIGHTS,
  Frames,
  Interval,
  Pictures,
  Report,
)
from infusenet_jax.predict.show.timeline import clock, timeline

MOST_OPEN = 5  # Intervals that are unfolded at first.
LEAST_FULL = 0.25  # Pixels of flow in full colour; what is noise stays pale.
_TEMPLATES = environment("infusenet_jax.predict.show", "infusenet_jax.evaluate.report")


class AuRow(NamedTuple):
  """An AU of an interval: its name, probability in percent (NaN: none), decision."""

  name: str
  percent: float
  shown: bool


class Face(NamedTuple):
  """A picture of an interval: which, what it is called, and its data URI."""

  kind: str
  words: str
  alt: str
  uri: str


class Card(NamedTuple):
  """An interval as the page shows it."""

  number: int
  interval: Interval
  aus: list[AuRow]
  shown: list[str]
  faces: list[Face]  # Onset, apex, magnified; none without pictures.
  flow: Face | None
  full: float  # Pixels of the crop in full colour.
  full_percent: float  # The same in % of the distance between the eyes.
  looked: Face | None


def render(report: Report) -> str:
  """Writes a report as one HTML page that loads nothing and runs its own script alone.

  Raises:
    ValueError: the report has no frames.
  """
  line = timeline(report)
  cards = [_card(*numbered) for numbered in enumerate(report.intervals, 1)]
  script = _script()
  return _TEMPLATES.get_template("page.html.j2").render(
    report=report,
    warnings=warnings(report),
    summary=_summary(report),
    common=_common(cards),
    line=line,
    cards=cards,
    most_open=MOST_OPEN,
    threshold=100 * SHOWN,
    about=[
      (title, _rows(values))
      for title, values in (
        ("Model", report.model),
        ("Settings", report.settings),
        ("Versions", report.versions),
      )
      if values
    ],
    clock=clock,
    script=Markup(script),
    script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
  )


def warnings(report: Report) -> list[str]:
  """What must be known before anything else, a sentence or two each.

  The report's own notes, and before them, where no note says it yet, that the model
  learned from simulated faces and that the frame rate is low.
  """
  lines = []
  if report.model.get("simulated") and not _said("simulated faces", report.notes):
    lines.append(SIMULATED_WEIGHTS)
  count = EXPRESSION_SECONDS * report.frames.fps
  if count < LEAST_FRAMES and not _said("frames a second", report.notes):
    lines.append(
      f"{report.frames.fps:.4g} frames a second are few: an expression of"
      f" {EXPRESSION_SECONDS} s has {count:.2g} frames, and from {LEAST_FRAMES} on its"
      " course can be seen. Brief and small motions may be missed, and onset and apex"
      " are coarse."
    )
  return [*lines, *report.notes]


def _said(words: str, notes: tuple[str, ...]) -> bool:
  return any(words in note.lower() for note in notes)


def _summary(report: Report) -> list[str]:
  """The findings in plain sentences."""
  frames, found = report.frames, report.intervals
  given = sum(interval.kind == "given" for interval in found)
  spotted = len(found) - given
  lines = [_length(frames), _seen(frames)]
  if given:
    lines.append(f"{_count(given, 'interval')} {_are(given)} given by a person.")
  if spotted or not given:
    lines.append(
      f"{_count(spotted, 'brief expression').capitalize()} and"
      f" {_count(len(report.blinks), 'blink')} {_are(spotted + len(report.blinks))}"
      " found."
    )
  if found and not any(interval.decision.any() for interval in found):
    lines.append("In none of them is any of the 12 action units above its threshold.")
  if not found and frames.success.any():
    lines.append("That none was found does not prove that none was shown.")
  return lines


def _length(frames: Frames) -> str:
  if len(frames) == 1:
    return "A single frame, in which no motion can be seen."
  seconds = frames.seconds[-1] - frames.seconds[0] + 1 / frames.fps
  return (
    f"{_lasting(seconds)} of video: {len(frames):,} frames, {frames.fps:.4g} a second."
  )


def _lasting(seconds: float) -> str:
  if seconds < 60:
    return f"{seconds:.1f} s"
  minutes, rest = divmod(round(seconds), 60)
  return f"{minutes} min" + (f" {rest} s" if rest else "")


def _seen(frames: Frames) -> str:
  share = np.mean(frames.success)
  if share in (0, 1):
    return f"A face was found in {'every' if share else 'no'} frame."
  return (
    f"A face was found in {np.clip(100 * share, 0.1, 99.9):.1f} % of the frames; the"
    " rest was passed over."
  )


def _count(number: int, thing: str) -> str:
  return f"{number or 'no'} {thing}{'' if number == 1 else 's'}"


def _are(number: int) -> str:
  return "was" if number == 1 else "were"


def _common(cards: list[Card]) -> list[tuple[str, int]]:
  """The AUs that were seen and in how many intervals, the most frequent first."""
  counts = Counter(name for card in cards for name in card.shown)
  return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _card(number: int, interval: Interval) -> Card:
  aus = [
    AuRow(f"AU{au:02d} {AU_NAMES[au]}", 100 * p, bool(shown))
    for au, p, shown in zip(AUS, interval.probability, interval.decision, strict=True)
  ]
  shown = [row.name for row in aus if row.shown]
  if (pictures := interval.pictures) is None:
    return Card(number, interval, aus, shown, [], None, 0.0, 0.0, None)
  full = max(flow_scale(pictures.flow), LEAST_FULL)
  eyes = EYES_APART * pictures.flow.shape[1]
  return Card(
    number,
    interval,
    aus,
    shown,
    _faces(number, interval, pictures),
    _face(
      "flow", "motion from onset to apex", number, flow_colours(pictures.flow, full)
    ),
    full,
    100 * full / eyes,
    _looked(number, pictures),
  )


def _faces(number: int, interval: Interval, pictures: Pictures) -> list[Face]:
  magnified = f"\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}{pictures.amp:g}"
  return [
    _face("onset", f"onset, frame {interval.onset}", number, pictures.onset),
    _face("apex", f"apex, frame {interval.apex}", number, pictures.apex),
    _face("magnified", f"apex, motion {magnified}", number, pictures.magnified),
  ]


def _looked(number: int, pictures: Pictures) -> Face | None:
  if pictures.looked is None:
    return None
  heat = heat_colours(np.nan_to_num(pictures.looked), pictures.onset)
  return _face("looked", "where the network looked", number, heat)


def _face(kind: str, words: str, number: int, image: np.ndarray) -> Face:
  return Face(kind, words, f"Interval {number}: {words}", frame_uri(image, webp=True))


def _rows(values: Mapping) -> list[tuple[str, str]]:
  """Names and values as people read them."""
  return [
    (str(name).replace("_", " "), _words(value)) for name, value in values.items()
  ]


def _words(value: object) -> str:
  value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
  if value is None:
    return "none"
  if isinstance(value, bool):
    return "yes" if value else "no"
  if isinstance(value, list | tuple) and all(isinstance(v, str | int) for v in value):
    return ", ".join(map(str, value))
  if isinstance(value, Mapping):
    parts = (
      f"{name} ({words})" if isinstance(value[key], Mapping) else f"{name} {words}"
      for key, (name, words) in zip(value, _rows(value), strict=True)
    )
    return ", ".join(parts)
  if isinstance(value, float):
    return f"{value:.4g}"
  return value if isinstance(value, str) else to_json(value, indent=None)


def _script() -> str:
  """The page's script, its lines as a browser counts them for the hash."""
  text, *_ = _TEMPLATES.loader.get_source(_TEMPLATES, "page.js")
  return text.replace("\r\n", "\n")
