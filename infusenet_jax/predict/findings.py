"""What was found in a video, as plain arrays with names: frames, intervals, AUs.

Frames are numbered as annotation sheets do: a video's first is 0; a folder's carry
the numbers in their file names. Pixels are the video's own, a pixel's centre is a
whole number, (x, y); colours are red-green-blue.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

# What every output of such weights says.
SIMULATED_WEIGHTS = "trained on simulated faces: for trying out, not for conclusions"

SHOWN = 0.5  # An AU of a higher probability counts as shown: its logit is above 0.
EXPRESSION_SECONDS = 0.2  # A short expression; frames that it should have at least:
LEAST_FRAMES = 10

# Parts of the face whose motion is told apart; left and right are in the picture.
REGIONS = (
  "brow_left",
  "brow_middle",
  "brow_right",
  "eye_left",
  "eye_right",
  "nose",
  "cheek_left",
  "cheek_right",
  "mouth_left",
  "mouth_right",
  "lip_upper",
  "lip_lower",
  "chin",
)


@dataclass(frozen=True)
class Frames:
  """A row per frame of a video, in order; T frames, R = len(REGIONS).

  Where there is no face, `success` is False and confidence, box, eyes and motion are
  NaN.
  """

  number: np.ndarray  # (T,) int64.
  seconds: np.ndarray  # (T,) float64: the video's own time stamps, from 0.
  success: np.ndarray  # (T,) bool: the face was found or followed.
  confidence: np.ndarray  # (T,) float64 in [0, 1]: of the detection it goes back to.
  box: np.ndarray  # (T, 4) float64: left, top, width, height of the face.
  eyes: np.ndarray  # (T, 2, 2) float64: the left and the right eye's (x, y).
  # (T, R) float64: motion of each region against a reference a moment ago, the head's
  # own motion removed; % of the distance between the eyes.
  motion: np.ndarray
  # (T, P, 2) float32, P = len(motion.POINTS): where each point of the face is on a head
  # at rest, the same unit; drifts. What spotting reads, and no output shows.
  path: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.number)

  @property
  def fps(self) -> float:
    """Frames a second, by the usual step in time; NaN for fewer than two frames."""
    steps = np.sort(np.diff(self.seconds))
    if not len(steps):
      return float("nan")
    # Many files round to milliseconds: the median of 16, 17 and 17 is not 1/60 s.
    # Of two in the middle the shorter: frames between which others were left out are
    # further apart, and nothing lies near the mean of the two.
    median = steps[(len(steps) - 1) // 2]
    usual = steps[np.abs(steps - median) <= median / 2]
    return float(1 / usual.mean())


@dataclass(frozen=True)
class Spot:
  """An interval that a spotter proposes; rows of `Frames`, both ends inclusive."""

  onset: int
  apex: int
  offset: int
  kind: str  # "expression", "blink", or "given" where a person gave it.
  score: float  # Height of its peak, % of the distance between the eyes.


@dataclass(frozen=True)
class Pictures:
  """What an interval looks like; all (S, S), aligned by its onset."""

  onset: np.ndarray  # (S, S, 3) uint8.
  apex: np.ndarray  # (S, S, 3) uint8.
  magnified: np.ndarray  # (S, S, 3) uint8: the apex, its motion magnified `amp` times.
  amp: float
  flow: np.ndarray  # (S, S, 2) float32: onset to apex, pixels of the crop.
  looked: np.ndarray | None = None  # (S, S) float32 >= 0: where the network looked.


@dataclass(frozen=True)
class Interval:
  """A facial motion and its action units, in the order of `clips.labels.AUS`."""

  kind: str  # As of a `Spot`.
  onset: int  # Frame numbers, as in `Frames.number`.
  apex: int
  offset: int
  onset_seconds: float
  apex_seconds: float
  offset_seconds: float
  probability: np.ndarray  # (12,) float64 in [0, 1], calibrated; NaN for a blink.
  decision: np.ndarray  # (12,) bool.
  motion_px: float  # Largest motion of a region, pixels of the video.
  motion_percent: float  # The same in % of the distance between the eyes.
  notes: tuple[str, ...] = ()  # What makes it doubtful, in words.
  pictures: Pictures | None = None


@dataclass(frozen=True)
class Report:
  """All that is known of one video (or folder of frames) and one face in it."""

  source: str  # The file's or folder's name, for people.
  face: int  # 0 is the largest.
  frames: Frames
  intervals: Sequence[Interval]  # Expressions and given ones, in order of time.
  blinks: Sequence[Interval] = ()
  # Where the weights come from: "run" or "shipped", name, config, databases trained
  # on, simulated (bool), seeds, calibrated (bool).
  model: dict = field(default_factory=dict)
  settings: dict = field(default_factory=dict)  # Every setting that had a say.
  versions: dict = field(default_factory=dict)  # Of packages.
  notes: tuple[str, ...] = ()  # What a reader must know before using the numbers.

  def save(self, folder: str | Path) -> None:
    """Writes the files of docs/outputs.md to a folder: tables, JSON, a page.

    Raises:
      UserError: it cannot be written, or a person changed the intervals.csv there.
    """
    # The room above: what it writes is what is defined here.
    importlib.import_module("infusenet_jax.predict.show.outputs").save(
      self, Path(folder)
    )
