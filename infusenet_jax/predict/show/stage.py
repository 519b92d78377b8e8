"""Draws the pictures of the movie: the video, a time bar and the face beside."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from infusenet_jax.clips.faces.alignment import from_eyes, warp
from infusenet_jax.clips.labels import AU_NAMES, AUS
from infusenet_jax.predict.findings import SIMULATED_WEIGHTS, Interval, Report
from infusenet_jax.predict.show.timeline import clock, face_losses

MOST = (1280, 720)  # Width and height that the video is shrunk to.
LEAST_HEIGHT = 360  # A smaller video is enlarged, so that there is room for words.
MOST_FACE = 480
BAR = 78  # Below the video: two lines of words and the time bar.
MOVED = 0.1  # Eye distances that the eyes move before the face is aligned again.
_PAPER, _INK, _MUTED = (18, 23, 29), (230, 234, 238), (151, 163, 175)
_MARK, _BLINK, _LOST = (45, 189, 174), (157, 143, 224), (85, 97, 110)
_TRACK = (45, 55, 66)


class Layout(NamedTuple):
  """Sizes in pixels, all even."""

  width: int  # Of the video as it is shown.
  height: int
  face: int  # Side of the square beside it.

  @property
  def shape(self) -> tuple[int, int, int]:
    return self.height + BAR, self.width + self.face, 3


def layout(width: int, height: int) -> Layout:
  """How a video of a size is shown."""
  scale = min(MOST[0] / width, MOST[1] / height, max(1, LEAST_HEIGHT / height))
  width, height = (max(2, 2 * round(scale * side / 2)) for side in (width, height))
  return Layout(width, height, min(height, MOST_FACE))


class Stage:
  """Draws one frame after the other; it remembers the onsets of what goes on.

  report, magnify, amp, size: as of `movie.write_movie`.
  """

  def __init__(
    self,
    report: Report,
    magnify: Callable[[np.ndarray, np.ndarray], np.ndarray],
    amp: float,
    size: int,
  ):
    self.report, self.magnify, self.amp, self.size = report, magnify, amp, size
    self.rows = {int(n): row for row, n in enumerate(report.frames.number)}
    self.eyes: np.ndarray | None = None  # Where the face was aligned last.
    # By interval that goes on, how the face is aligned at its onset, and that face.
    self.onsets: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    self.empty: np.ndarray | None = None  # A picture with its time bar alone.

  def draw(self, number: int, seconds: float, image: np.ndarray) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB of a frame (h, w, 3); always of one size."""
    place = layout(image.shape[1], image.shape[0])
    if self.empty is None:
      self.empty = self._empty(place)
    picture = self.empty.copy()
    row = self.rows.get(number)
    inside = self._intervals(number)
    shrinks = place.width < image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    video = cv2.resize(image, (place.width, place.height), interpolation=how)
    self._frame_face(video, row, bool(inside), place.width / image.shape[1])
    picture[: place.height, : place.width] = video
    face, words = self._face(image, row, inside)
    if face is not None:
      face = cv2.resize(face, (place.face, place.face), interpolation=cv2.INTER_CUBIC)
      picture[: place.face, place.width :] = face
    _caption(picture, words, place)
    self._words(picture, number, seconds, inside, place)
    self._play_head(picture, seconds)
    return picture

  def _intervals(self, number: int) -> list[int]:
    """Which intervals a frame belongs to, the earliest first."""
    return [
      index
      for index, interval in enumerate(self.report.intervals)
      if interval.onset <= number <= interval.offset
    ]

  def _frame_face(self, video, row: int | None, marked: bool, scale) -> None:
    if row is None or not self.report.frames.success[row]:
      return
    left, top, width, height = scale * self.report.frames.box[row]
    if not np.isfinite([left, top, width, height]).all():
      return
    corners = (round(left), round(top)), (round(left + width), round(top + height))
    colour, thick = (_MARK, 3) if marked else (_MUTED, 1)
    cv2.rectangle(video, *corners, colour, thick, cv2.LINE_AA)

  def _face(self, image, row, inside: list[int]) -> tuple[np.ndarray | None, str]:
    """The aligned face, magnified within an interval, and what to say of it."""
    self.onsets = {
      index: self.onsets[index] for index in inside if index in self.onsets
    }
    if row is None or not np.isfinite(self.report.frames.eyes[row]).all():
      return None, "no face"
    eyes = self.report.frames.eyes[row]
    for index in inside:
      if index not in self.onsets:
        matrix = from_eyes(*eyes, self.size)
        self.onsets[index] = matrix, warp(image, matrix, self.size)
    if inside:
      matrix, onset = self.onsets[inside[0]]
      face = self.magnify(onset, warp(image, matrix, self.size))
      return face, f"motion x {self.amp:g}"
    if self.eyes is None or _moved(self.eyes, eyes) > MOVED:
      self.eyes = eyes
    return warp(image, from_eyes(*self.eyes, self.size), self.size), "as it is"

  def _words(self, picture, number, seconds, inside, place: Layout) -> None:
    first = f"{clock(seconds, 2)}   frame {number}"
    if self.report.model.get("simulated"):
      first += f"   {SIMULATED_WEIGHTS}"
    _put(picture, first, (12, place.height + 22), _MUTED)
    if inside:
      second = f"{inside[0] + 1}: {_found(self.report.intervals[inside[0]])}"
      _put(picture, second, (12, place.height + 46), _INK)

  def _play_head(self, picture: np.ndarray, seconds: float) -> None:
    start, span = self._span()
    share = float(np.clip((seconds - start) / span, 0, 1))
    x = 12 + round(share * (picture.shape[1] - 25))
    cv2.line(picture, (x, picture.shape[0] - 25), (x, picture.shape[0] - 6), _INK, 2)

  def _span(self) -> tuple[float, float]:
    """The first frame's time, and how long until the last one's, seconds."""
    times = self.report.frames.seconds
    return float(times[0]), max(float(times[-1] - times[0]), 1e-3)

  def _empty(self, place: Layout) -> np.ndarray:
    """Paper, and below it what there is to see from the first frame to the last."""
    picture = np.full(place.shape, _PAPER, np.uint8)
    bar = picture[-22:-8, 12:-12]
    bar[:] = _TRACK
    start, span = self._span()
    width = bar.shape[1]
    lists = (
      (_LOST, face_losses(self.report.frames)),
      (_BLINK, [(i.onset_seconds, i.offset_seconds) for i in self.report.blinks]),
      (_MARK, [(i.onset_seconds, i.offset_seconds) for i in self.report.intervals]),
    )
    for colour, spans in lists:
      for first, last in spans:
        a, b = (int(width * (t - start) / span) for t in (first, last))
        bar[:, max(a, 0) : max(b, a + 3)] = colour
    return picture


def _moved(before: np.ndarray, eyes: np.ndarray) -> float:
  """How far the eyes (2, 2) have moved, in distances between them."""
  apart = np.linalg.norm(before[1] - before[0])
  return float(np.linalg.norm(eyes - before, axis=1).max() / apart)


def _found(interval: Interval) -> str:
  shown = [
    f"AU{au:02d} {AU_NAMES[au]} {100 * p:.0f} %"
    for au, p, yes in zip(AUS, interval.probability, interval.decision, strict=True)
    if yes
  ]
  return ", ".join(shown) or "no action unit above its threshold"


def _caption(picture: np.ndarray, words: str, place: Layout) -> None:
  at = place.width + 10, 24
  _put(picture, words, at, (0, 0, 0), thickness=4)
  _put(picture, words, at, (255, 255, 255))


def _put(picture, words: str, at: tuple[int, int], colour, thickness: int = 1) -> None:
  """Words, smaller where they would not fit."""
  (width, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, 0.55, 1)
  size = 0.55 * min(1.0, (picture.shape[1] - at[0] - 8) / max(width, 1))
  cv2.putText(
    picture, words, at, cv2.FONT_HERSHEY_DUPLEX, size, colour, thickness, cv2.LINE_AA
  )
