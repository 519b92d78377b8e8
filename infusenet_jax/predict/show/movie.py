"""A video with what was found in it: intervals marked, the magnified face beside."""

import os
from collections.abc import Callable, Iterable

import numpy as np

from infusenet_jax.predict.findings import Report
from infusenet_jax.predict.show.film import Film
from infusenet_jax.predict.show.stage import Stage


def write_movie(
  path: str | os.PathLike,
  report: Report,
  frames: Iterable[tuple[int, float, np.ndarray]],
  magnify: Callable[[np.ndarray, np.ndarray], np.ndarray],
  *,
  amp: float,
  size: int = 224,
) -> None:
  """Writes an MP4 (H.264, 4:2:0) of the frames as they come; its memory is flat.

  Every frame keeps its time stamp. Left is the video with the face's box, below it
  when and what; right the aligned face, within an expression with its motion since the
  onset magnified. There is no sound.

  Args:
    path: of the MP4, which is there whole or not at all.
    report: of these frames; `report.frames` says where the face is.
    frames: (number, seconds, (H, W, 3) uint8 RGB), times rising, all of one size.
    magnify: (onset, frame) -> the frame with its motion magnified; all (size, size, 3)
      uint8 RGB.
    amp: what `magnify` magnifies by, for the caption.
    size: of the face, pixels.

  Raises:
    UserError: the file cannot be written.
    ValueError: there are no frames.
  """
  stage = Stage(report, magnify, amp, size)
  with Film(path, report.frames.fps) as film:
    for number, seconds, image in frames:
      film.write(seconds, stage.draw(number, seconds, image))
    if not film.count:
      raise ValueError(f"{report.source}: no frames, expected at least one")
