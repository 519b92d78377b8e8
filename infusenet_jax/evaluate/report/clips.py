"""Draws single clips for the report: samples, and where they looked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from infusenet_jax.clips.frames.images import flow_colours, frame_uri, heat_colours
from infusenet_jax.clips.labels import AUS, database_name
from infusenet_jax.evaluate.predictions import Predictions

MOST_PIXELS = 128  # A side of a picture on the page; larger ones are made smaller.


@dataclass(frozen=True)
class Sample:
  """A clip that the report shows.

  database, subject, clip: as in the predictions.
  onset, apex: (H, W, 3) uint8 RGB.
  flow: (H, W, 2 or more) from onset to apex, in pixels.
  maps: {name: (h, w), not negative}: where the network looked.
  """

  database: str
  subject: str
  clip: str
  onset: np.ndarray
  apex: np.ndarray
  flow: np.ndarray
  maps: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Pictures:
  """The pictures that a report may show; by default none.

  samples: clips that are shown with their flow and maps.
  faces: {(database, subject, clip): (onset, apex)}, each (H, W, 3) uint8 RGB, of the
    clips that may be shown where they are among the worst mistakes.
  """

  samples: Sequence[Sample] = ()
  faces: Mapping[tuple[str, str, str], tuple[np.ndarray, np.ndarray]] = field(
    default_factory=dict
  )


class Verdict(NamedTuple):
  """The outcome for one AU; `words` is "found", "missed" or "false alarm"."""

  au: int
  words: str


class Face(NamedTuple):
  """Data URIs of a clip's onset and apex, between which the page switches."""

  onset: str
  apex: str


class Picture(NamedTuple):
  """A picture: the name of what it shows, its range in words, and its data URI."""

  name: str
  extent: str
  uri: str


class Card(NamedTuple):
  """A sample as the page shows it.

  key: of its database.
  verdicts: None if it was not predicted.
  columns: in how many columns its face and pictures, and the key to their colours if
    `has_key`, come out even.
  """

  database: str
  key: str
  subject: str
  clip: str
  face: Face
  pictures: list[Picture]
  verdicts: list[Verdict] | None
  columns: int
  has_key: bool


def cards(samples: Sequence[Sample], one: Predictions) -> list[Card]:
  """Draws the samples and looks up what was found in them and missed.

  Args:
    samples: the clips to be shown.
    one: a single prediction of each clip.
  """
  names = zip(one.database, one.subject, one.clip, strict=True)
  rows = {name: row for row, name in enumerate(names)}
  full = highest_gate(samples)
  made = []
  for sample in samples:
    row = rows.get((sample.database, sample.subject, sample.clip))
    pictures = _pictures(sample, full)
    columns, has_key = even_columns(1 + len(pictures))
    made.append(
      Card(
        database_name(sample.database),
        sample.database,
        sample.subject,
        sample.clip,
        draw_face(sample.onset, sample.apex),
        pictures,
        None if row is None else verdicts(one.labels[row], one.logits[row]),
        columns,
        has_key,
      )
    )
  return made


def draw_face(onset: np.ndarray, apex: np.ndarray) -> Face:
  """Encodes a clip's onset and apex, (H, W, 3) uint8 RGB each."""
  return Face(_uri(onset), _uri(apex))


def highest_gate(samples: Sequence[Sample]) -> float:
  """The largest value of any gate, so that all are drawn on one scale; 0 without."""
  return max(
    (
      float(values.max())
      for sample in samples
      for name, values in sample.maps.items()
      if _is_gate(name)
    ),
    default=0.0,
  )


def even_columns(count: int) -> tuple[int, bool]:
  """In how many columns pictures fill their rows, and whether a further cell helps."""
  has_key = count > 3 and count % 2 == 1
  count += has_key
  return next((n for n in (4, 3, 2) if count % n == 0), count), has_key


def verdicts(labels: np.ndarray, logits: np.ndarray) -> list[Verdict]:
  """Makes a verdict on every AU that the clip shows or that the model says it shows.

  Args:
    labels, logits: (12,) of a clip.
  """
  return [
    verdict(au, shown, logit)
    for au, shown, logit in zip(AUS, labels, logits, strict=True)
    if shown or logit > 0
  ]


def verdict(au: int, shown: bool, logit: float) -> Verdict:
  """Says what the decision about an AU is beside the truth; shown or said at least."""
  if not shown:
    return Verdict(au, "false alarm")
  return Verdict(au, "found" if logit > 0 else "missed")


def _is_gate(name: str) -> bool:
  return name.startswith("gate")


def _pictures(sample: Sample, highest: float) -> list[Picture]:
  """Flow, then the maps with gates last, all gates on one scale."""
  longest = np.hypot(sample.flow[..., 0], sample.flow[..., 1]).max()
  pictures = [
    Picture("flow", f"up to {longest:.1f} px", _uri(flow_colours(sample.flow)))
  ]
  for name, values in sorted(sample.maps.items(), key=lambda x: (_is_gate(x[0]), x[0])):
    gate = _is_gate(name)
    extent = f"up to {values.max():.2g}"
    if gate:
      extent = f"{values.min():.3f} to {values.max():.3f}"
    image = heat_colours(values, sample.apex, highest if gate else None)
    pictures.append(Picture(name, extent, _uri(image)))
  return pictures


def _uri(image: np.ndarray) -> str:
  """Encodes an image (H, W, 3), uint8 RGB, at the page's size at most."""
  height, width = image.shape[:2]
  shrinks = MOST_PIXELS / max(height, width)
  if shrinks < 1:
    size = (round(width * shrinks), round(height * shrinks))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
  return frame_uri(image, webp=True)
