"""A video with what was found in it: intervals marked, the magnified face beside."""

import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from infusenet_jax.predict.findings import Report
from infusenet_jax.predict.stage import Stage
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
    _encode(draft, _timed(frames), Stage(report, magnify, amp, size))
    os.replace(draft, path)
  except (OSError, av.FFmpegError) as error:
    raise UserError(
      f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}); make"
      " room or choose another folder, then run it again"
    ) from error
  finally:
    draft.unlink(missing_ok=True)


def _timed(
  frames: Iterable[tuple[int, float, np.ndarray]],
) -> Iterator[tuple[int, float, np.ndarray, float]]:
  """Adds how long each frame is seen: the last as long as the one before it."""
  held, lasts = None, 0.04
  for frame in frames:
    if held is not None:
      lasts = max(frame[1] - held[1], float(TIME_BASE))
      yield *held, lasts
    held = frame
  if held is not None:
    yield *held, lasts


def _encode(
  path: Path, frames: Iterator[tuple[int, float, np.ndarray, float]], stage: Stage
) -> None:
  stream, last = None, -1
  with av.open(str(path), "w", "mp4", options={"movflags": "+faststart"}) as file:
    for number, seconds, image, lasts in frames:
      picture = stage.draw(number, seconds, image)
      if stream is None:
        stream = file.add_stream("libx264", rate=_rate(stage.report), options=_QUALITY)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = TIME_BASE
      frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
      last = max(round(seconds / TIME_BASE), last + 1)
      frame.pts, frame.time_base = last, TIME_BASE
      frame.duration = max(1, round(lasts / TIME_BASE))
      file.mux(stream.encode(frame))
    if stream is None:
      raise ValueError(f"{stage.report.source}: no frames, expected at least one")
    file.mux(stream.encode())


def _rate(report: Report) -> Fraction:
  """Frames a second, for the header alone: each frame has its own time."""
  fps = report.frames.fps
  known = np.isfinite(fps) and fps > 0
  return Fraction(fps if known else 25).limit_denominator(1001)
