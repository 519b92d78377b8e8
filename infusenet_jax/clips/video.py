"""Frames of a video file by their place in it, through OpenCV."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from infusenet_jax.clips.images import check_frame_size

ENDLESS = 1 << 31  # Stands for the number of frames where a video does not tell it.


class Video:
  """A video that is read forwards; frame 0 is its first.

  No seeking: decoders find other frames than they were asked for. Not thread-safe.

  Attributes:
    path: of the file.
    fps: frames a second as the file has it; 0.0 where it has none.
    count: of frames, as the file has it; some files are wrong by a few.
  """

  def __init__(self, path: Path):
    """Opens the file.

    Raises:
      ValueError: no video that OpenCV can decode, or frames too small or too large.
    """
    self.path = path
    self._open()
    fps = self._capture.get(cv2.CAP_PROP_FPS)
    self.fps = float(fps) if 0 < fps < 1e5 else 0.0
    count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
    self.count = int(count) if 0 < count < ENDLESS else ENDLESS

  def _open(self) -> None:
    if not self.path.is_file():
      raise ValueError(f"{self.path}: no such file")
    try:
      # No other reader: one takes "img%03d.jpg" for a pattern of names.
      self._capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
    except cv2.error as error:
      raise ValueError(f"{self.path}: not a video that OpenCV can decode") from error
    if not self._capture.isOpened():
      raise ValueError(f"{self.path}: not a video that OpenCV can decode")
    sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    check_frame_size(*(int(self._capture.get(side)) for side in sides), self.path)
    self._at = 0  # The frame that comes next.

  def frames(self, numbers: Sequence[int]) -> dict[int, np.ndarray]:
    """The frames of these numbers, (H, W, 3) uint8, blue-green-red.

    A number beyond the last frame that can be decoded is left out.

    Raises:
      ValueError: the file is gone.
    """
    wanted = sorted(set(numbers))
    if wanted and wanted[0] < self._at:
      self._open()
    found = {}
    for number in wanted:
      try:
        while self._at < number and self._capture.grab():
          self._at += 1
        there, frame = self._capture.read() if self._at == number else (False, None)
      except cv2.error:
        there = False
      if not there:
        break
      self._at += 1
      found[number] = frame
    return found
