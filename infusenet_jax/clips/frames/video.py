"""Reads frames of a video file by their number, through OpenCV."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from infusenet_jax.clips.frames.images import check_frame_size

ENDLESS = 1 << 31  # The number of frames of a video that does not tell its length.


class Video:
  """A video that is read forwards; its first frame has number 0. Not thread-safe.

  It never seeks, since decoders that seek often return another frame than was asked
  for.

  Attributes:
    path: of the file.
    fps: frames a second according to the file; 0.0 if the file does not tell.
    count: the number of frames according to the file, which may be wrong by a few;
      ENDLESS if the file does not tell.
  """

  def __init__(self, path: Path):
    """Opens the file.

    Raises:
      ValueError: the file is not a video that OpenCV can decode, or its frames are too
        small or too large.
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
      # FFmpeg only: another of OpenCV's readers takes "img%03d.jpg" for a pattern.
      self._capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
    except cv2.error as error:
      raise ValueError(f"{self.path}: not a video that OpenCV can decode") from error
    if not self._capture.isOpened():
      raise ValueError(f"{self.path}: not a video that OpenCV can decode")
    sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    check_frame_size(*(int(self._capture.get(side)) for side in sides), self.path)
    self._at = 0  # The frame that comes next.

  def frames(self, numbers: Sequence[int]) -> dict[int, np.ndarray]:
    """Reads the frames of these numbers, (H, W, 3) uint8, blue-green-red.

    The result lacks numbers beyond the last frame that can be decoded. Reading starts
    anew if a number lies before the last frame read.

    Raises:
      ValueError: the file is there no more.
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
