"""Writes films that browsers play: H.264 in MP4 or VP9 in WebM, each frame at its time.

Memory is flat: a frame is encoded and forgotten, and of the sound no more is read than
the pictures have reached.
"""

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import av
import numpy as np

from infusenet_jax.predict.watch.sound import Sound
from infusenet_jax.runtime.errors import UserError


class Format(NamedTuple):
  """What FFmpeg is asked for; all of it is played by browsers."""

  container: str
  options: dict[str, str]
  video: str
  quality: dict[str, str]
  audio: str
  # Seconds in whole units, so that no time stamp of a usual frame rate is rounded much;
  # WebM has milliseconds.
  time_base: Fraction


FORMATS = {
  ".mp4": Format(
    "mp4",
    {"movflags": "+faststart"},  # Its index first: it plays while it is loaded.
    "libx264",
    {"preset": "veryfast", "crf": "20"},
    "aac",
    Fraction(1, 90_000),
  ),
  ".webm": Format(
    "webm",
    {},
    "libvpx-vp9",
    {"crf": "28", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
    "libopus",
    Fraction(1, 1000),
  ),
}
_BT709 = 1  # The number of the colours of HD video in each of FFmpeg's lists.


class Film:
  """A film that is written frame by frame; to be used in a `with` block.

  The file is there whole once the block has ended, or, after an exception, not at all.

  Attributes:
    count: frames written so far.
    shape: (height, width) of the pictures; None before the first one.
  """

  def __init__(
    self, path: str | os.PathLike, fps: float | None, sound: Sound | None = None
  ):
    """Prepares a film.

    Args:
      path: of the file; its suffix, one of `FORMATS`, says what kind of film it is.
      fps: frames a second, for the header alone; None where nobody knows.
      sound: what is heard along with it.

    Raises:
      UserError: the suffix is another.
    """
    self.path, self._sound = Path(path), sound
    self._format = _format_of(self.path)
    known = fps is not None and np.isfinite(fps) and fps > 0
    self._rate = Fraction(fps if known else 25).limit_denominator(1001)
    self._draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
    self._file = self._video = self._audio = None
    self._last = -1
    self.count, self.shape = 0, None

  def __enter__(self) -> Self:
    return self

  def write(self, seconds: float, picture: np.ndarray) -> None:
    """Writes a frame (H, W, 3) uint8 RGB; times rise, and all are of one size.

    Odd sides get one more row or column, as their colours are stored in pairs.

    Raises:
      UserError: the file cannot be written.
      ValueError: the size is not that of the first frame.
    """
    height, width = picture.shape[:2]
    if self.shape not in (None, (height, width)):
      raise ValueError(f"a frame of {height, width} in a film of {self.shape}")
    picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709)
    self._last = max(round(seconds / self._format.time_base), self._last + 1)
    frame.pts, frame.time_base = self._last, self._format.time_base
    try:
      if self._file is None:
        self._begin(*picture.shape[:2])
      self._file.mux(self._video.encode(frame))
      self._write_sound(seconds)
    except (OSError, av.FFmpegError) as error:
      raise self._unwritten(error) from error
    self.shape = (height, width)
    self.count += 1

  def _begin(self, height: int, width: int) -> None:
    form = self._format
    self._file = av.open(str(self._draft), "w", form.container, options=form.options)
    video = self._file.add_stream(form.video, rate=self._rate, options=form.quality)
    video.height, video.width, video.pix_fmt = height, width, "yuv420p"
    about = video.codec_context
    about.time_base = form.time_base
    about.colorspace = about.color_primaries = about.color_trc = _BT709
    about.color_range = 1  # From 16 to 235.
    self._video = video
    if self._sound is not None:
      audio = self._file.add_stream(form.audio, rate=self._sound.rate(form.audio))
      audio.layout = self._sound.layout
      audio.bit_rate = 96_000 * self._sound.channels
      self._audio = audio

  def _write_sound(self, until: float) -> None:
    for frame in self._sound.frames(until) if self._audio else ():
      self._file.mux(self._audio.encode(frame))

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
  ) -> None:
    try:
      if self._file is not None:
        self._finish(whole=kind is None)
      if kind is None and self.count:
        os.replace(self._draft, self.path)
    except (OSError, av.FFmpegError) as failure:
      if kind is None:
        raise self._unwritten(failure) from failure
    finally:
      self._draft.unlink(missing_ok=True)

  def _finish(self, whole: bool) -> None:
    with self._file as file:
      if whole:
        for stream in filter(None, (self._video, self._audio)):
          file.mux(stream.encode(None))

  def _unwritten(self, error: Exception) -> UserError:
    return UserError(
      f"{self.path}: cannot be written ({getattr(error, 'strerror', None) or error});"
      " make room or choose another folder, then run it again"
    )


def _format_of(path: Path) -> Format:
  form = FORMATS.get(path.suffix.lower())
  if form is None:
    raise UserError(f"{path}: ends in no {' or '.join(FORMATS)}, which films are")
  return form
