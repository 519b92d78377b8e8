"""Reads a clip's key frames, from image files or from a video."""

import numpy as np

from data_prep.databases.frames import KeyFrames
from infusenet_jax.clips.frames.images import read_frame
from infusenet_jax.clips.frames.video import Video


class FrameReader:
  """Reads the key frames of one clip after the other. Not thread-safe.

  A video is decoded in a single pass if its clips come in the order of their frames.
  """

  def __init__(self):
    self._video: Video | None = None
    self._keys: KeyFrames | None = None
    self._frames: dict[int, np.ndarray] = {}

  def read(self, keys: KeyFrames, number: int) -> np.ndarray:
    """Reads key frame `number` of a clip, (H, W, 3) uint8, blue-green-red.

    Raises:
      ValueError: it cannot be read; the message is one line that names the file.
    """
    path = keys.files[number]
    if not keys.video:
      return read_frame(path)
    if keys is not self._keys:
      if self._video is None or self._video.path != path:
        self._video = Video(path)
      self._frames, self._keys = self._video.frames(list(keys.files)), keys
    if number not in self._frames:
      raise ValueError(f"{path}: frame {number} cannot be decoded")
    return self._frames[number]
