"""A video with what was found in it: intervals marked, the magnified face beside."""

import os
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from infusenet_jax.predict.findings import Report
from infusenet_jax.predict.show.stage import Stage
from infusenet_jax.runtime.errors import UserError

# Seconds in whole units, so that no time stamp of a usual frame rate is rounded much.
TIME_BASE = Fraction(1, 90_000)
_QUALITY = {"preset": "veryfast", "crf": "20"}


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
  path = Path(path)
  draft = path.with_name(f".{path.name}.{os.getpid()}")
  try:
    _encode(draft, frames, Stage(report, magnify, amp, size))
    os.replace(draft, path)
  except (OSError, av.FFmpegError) as error:
    raise UserError(
      f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}); make"
      " room or choose another folder, then run it again"
    ) from error
  finally:
    draft.unlink(missing_ok=True)


def _encode(
  path: Path, frames: Iterable[tuple[int, float, np.ndarray]], stage: Stage
) -> None:
  stream, last = None, -1
  with av.open(str(path), "w", "mp4", options={"movflags": "+faststart"}) as file:
    for number, seconds, image in frames:
      picture = stage.draw(number, seconds, image)
      if stream is None:
        stream = file.add_stream("libx264", rate=_rate(stage.report), options=_QUALITY)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = TIME_BASE
      frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
      last = max(round(seconds / TIME_BASE), last + 1)
      frame.pts, frame.time_base = last, TIME_BASE
      file.mux(stream.encode(frame))
    if stream is None:
      raise ValueError(f"{stage.report.source}: no frames, expected at least one")
    file.mux(stream.encode())


def _rate(report: Report) -> Fraction:
  """Frames a second, for the header alone: each frame has its own time."""
  fps = report.frames.fps
  known = np.isfinite(fps) and fps > 0
  return Fraction(fps if known else 25).limit_denominator(1001)
