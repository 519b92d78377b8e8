"""The parts of the report about single clips: sample clips and worst mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from infusenet_jax.clips.frames.images import flow_colours, frame_uri, heat_colours
from infusenet_jax.clips.labels import AUS, database_name
from infusenet_jax.evaluate.predictions import Predictions

MOST_MISTAKES = 20


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


class Verdict(NamedTuple):
  """The outcome for one AU; `words` is "found", "missed" or "false alarm"."""

  au: int
  words: str


class Picture(NamedTuple):
  """A picture: the name of what it shows, and its data URI."""

  name: str
  uri: str


class Card(NamedTuple):
  """A sample as the page shows it; `verdicts` is None if it was not predicted."""

  database: str
  subject: str
  clip: str
  pictures: list[Picture]
  verdicts: list[Verdict] | None


class Mistake(NamedTuple):
  """A wrong decision about one AU of a clip.

  probability: the model's, in percent, that the AU is shown.
  shown: the AUs that the clip truly shows.
  """

  database: str
  subject: str
  clip: str
  verdict: Verdict
  probability: float
  shown: list[int]


def cards(
  samples: Sequence[Sample], run: Predictions, logits: np.ndarray
) -> list[Card]:
  """Draws the samples and looks up what was found in them and missed.

  Args:
    samples: the clips to be shown.
    run: predictions of N clips.
    logits: (N, 12), the mean over all runs.
  """
  names = zip(run.database, run.subject, run.clip, strict=True)
  rows = {name: row for row, name in enumerate(names)}
  return [
    Card(
      database_name(sample.database),
      sample.subject,
      sample.clip,
      _pictures(sample),
      None if row is None else _verdicts(run.labels[row], logits[row]),
    )
    for sample in samples
    for row in [rows.get((sample.database, sample.subject, sample.clip))]
  ]


def mistakes(run: Predictions, logits: np.ndarray) -> tuple[int, list[Mistake]]:
  """Counts the wrong decisions and lists the worst, those with the largest |logit|.

  `run` and `logits` are as in `cards`.
  """
  wrong = (logits > 0) != (run.labels > 0)
  clips, aus = np.nonzero(wrong)
  order = np.argsort(-np.abs(logits[clips, aus]), kind="stable")[:MOST_MISTAKES]
  return len(clips), [
    Mistake(
      database_name(run.database[clip]),
      run.subject[clip],
      run.clip[clip],
      _verdict(AUS[au], run.labels[clip, au], logits[clip, au]),
      50 * (1 + np.tanh(logits[clip, au] / 2)),
      [number for number, label in zip(AUS, run.labels[clip], strict=True) if label],
    )
    for clip, au in zip(clips[order], aus[order], strict=True)
  ]


def _pictures(sample: Sample) -> list[Picture]:
  longest = np.hypot(sample.flow[..., 0], sample.flow[..., 1]).max()
  images = {
    "onset": sample.onset,
    "apex": sample.apex,
    f"flow, up to {longest:.1f} px": flow_colours(sample.flow),
  }
  for name, values in sorted(sample.maps.items()):
    images[f"{name}, up to {values.max():.2g}"] = heat_colours(values, sample.apex)
  return [Picture(name, frame_uri(image)) for name, image in images.items()]


def _verdicts(labels: np.ndarray, logits: np.ndarray) -> list[Verdict]:
  """Makes a verdict on every AU that the clip shows or that the model says it shows."""
  return [
    _verdict(au, shown, logit)
    for au, shown, logit in zip(AUS, labels, logits, strict=True)
    if shown or logit > 0
  ]


def _verdict(au: int, shown: bool, logit: float) -> Verdict:
  if not shown:
    return Verdict(au, "false alarm")
  return Verdict(au, "found" if logit > 0 else "missed")
