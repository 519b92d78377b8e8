"""Frames of a video file, a folder or an array, one after the other with their time.

Memory stays flat: a frame is kept no longer than the caller keeps it. Whatever comes in
(grey, 10 bit, turned, any frame rate) goes out as RGB, upright, with seconds from 0.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import av
import cv2
import numpy as np

from infusenet_jax.clips.frames.files import (
  IMAGES,
  frame_files,
  frame_number,
  without_copies,
)
from infusenet_jax.clips.frames.images import check_frame_size, read_frame
from infusenet_jax.runtime.errors import UserError

VIDEOS = (
  *(".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv"),
  *(".mts", ".m2ts", ".ts", ".3gp", ".mxf", ".ogv", ".vob", ".h264", ".hevc", ".y4m"),
)
MOST_FPS = 10_000
_UNKNOWN = object()  # Stands for a display matrix that was not looked at yet.
LACKING = 0.1  # Share of its header's frames from which a video counts as cut short.


class Frame(NamedTuple):
  """One frame of a video."""

  number: int  # As annotation sheets count: a video's first is 0.
  seconds: float  # From the first frame.
  image: np.ndarray  # (H, W, 3) uint8, RGB, upright.


class Footage(Protocol):
  """Something to be looked at frame by frame, as often as one likes.

  Attributes:
    name: for people.
    count: how many frames there are, as far as known before they are read; else None.
    rate: frames a second, in the same way.
    notes: what became known while all frames were read, in words.
  """

  name: str
  count: int | None
  rate: float | None
  notes: list[str]

  def __iter__(self) -> Iterator[Frame]:
    """All frames, in order.

    Raises:
      UserError: there is none that can be read.
    """

  def read(self, numbers: Collection[int]) -> Iterator[Frame]:
    """The frames of these numbers, in order; those that are not there are left out."""


def open_footage(
  source: str | Path | Sequence[np.ndarray] | np.ndarray, fps: float | None = None
) -> Footage:
  """A video file, a folder of frames, or frames in memory.

  Args:
    source: the file, the folder, or frames (T, H, W, 3) RGB or (T, H, W) grey, uint8.
    fps: frames a second. Needed where nothing else says it; of a video file it takes
      the place of the time stamps, as high-speed cameras write files for slow motion.

  Raises:
    UserError: it is none of these, or the frame rate is missing or impossible.
  """
  if fps is not None and not 0 < fps <= MOST_FPS:
    raise UserError(
      f"fps is {fps:g}, expected frames a second, above 0 and up to {MOST_FPS}"
    )
  if not isinstance(source, str | Path):
    return ArrayFootage(source, fps)
  path = Path(source)
  return FolderFootage(path, fps) if path.is_dir() else VideoFile(path, fps)


class VideoFile:
  """A file that FFmpeg reads."""

  def __init__(self, path: Path, fps: float | None = None):
    """Looks at the header.

    Raises:
      UserError: no such file, not a video, or frames too small or too large.
    """
    self.path, self.name, self._fps = path, path.name, fps
    self.notes: list[str] = []
    self._matrix = _UNKNOWN
    if not path.is_file():
      raise UserError(f"{path}: no such file; expected a video or a folder of frames")
    if not path.stat().st_size:
      raise UserError(f"{path}: zero bytes; copy it again from where it comes from")
    with self._open() as container:
      stream = container.streams.best("video")
      try:
        check_frame_size(stream.width, stream.height, path)
      except ValueError as error:
        raise UserError(str(error)) from error
      rate = stream.average_rate or stream.guessed_rate
      stored = float(rate) if rate and 0 < rate <= MOST_FPS else None
      length = stream.duration and float(stream.duration * stream.time_base)
      length = length or (container.duration or 0) / av.time_base
      guess = round(length * stored) if length and stored else 0
      self.rate = fps or stored
      self.count = stream.frames or guess or None

  def __iter__(self) -> Iterator[Frame]:
    self.notes.clear()
    read, damaged = 0, 0
    clock = _Clock(self.path, self._fps, self.rate)
    for frame, bad in self._decode():
      damaged += bad
      if frame is not None:
        yield Frame(read, clock.seconds(read, frame.time), self._upright(frame))
        read += 1
    if not read:
      raise UserError(f"{self.path}: no frame can be decoded; copy or record it again")
    if self.count and read < (1 - LACKING) * self.count:
      self.notes.append(
        f"{self.name} is cut short or damaged: {read} frames could be read of about"
        f" {self.count} that its header promises"
      )
    elif damaged:
      self.notes.append(
        f"{self.name} is damaged: {damaged} packets could not be decoded; {read} frames"
        " were read"
      )
    self.count = read
    self.notes += clock.notes

  def read(self, numbers: Collection[int]) -> Iterator[Frame]:
    wanted, last = set(numbers), max(numbers, default=-1)
    clock, number = _Clock(self.path, self._fps, self.rate), 0
    for frame, _ in self._decode() if wanted else ():
      if frame is None:
        continue
      seconds = clock.seconds(number, frame.time)
      if number in wanted:
        yield Frame(number, seconds, self._upright(frame))
      if number == last:
        return
      number += 1

  def _decode(self) -> Iterator[tuple[av.VideoFrame | None, int]]:
    """Frames as they are stored; (None, 1) for a packet that cannot be decoded."""
    with self._open() as container:
      stream = container.streams.best("video")
      stream.thread_type = "AUTO"
      packets = container.demux(stream)
      while True:
        try:
          packet = next(packets)
        except StopIteration:
          return
        except av.FFmpegError:  # The rest of the file is not there.
          yield None, 1
          return
        try:
          frames = packet.decode()
        except av.FFmpegError:
          yield None, 1
          continue
        for frame in frames:
          yield frame, 0

  def _upright(self, frame: av.VideoFrame) -> np.ndarray:
    # Once a file: asked for its side data a frame refers to itself, and would stay in
    # memory until Python looks for such circles, which is after gigabytes.
    if self._matrix is _UNKNOWN:
      self._matrix = _display_matrix(frame)
    return _upright(frame, self._matrix)

  def _open(self) -> av.container.InputContainer:
    try:
      # Of a file's own protocol, so that a name is never taken for an address.
      container = av.open(f"file:{self.path}", metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
      reason = getattr(error, "strerror", None) or str(error)
      raise UserError(
        f"{self.path}: not a video that FFmpeg can read ({reason}); expected a file"
        " such as .mp4, .mov, .avi or .mkv, whole, or a folder of frames"
      ) from error
    stream = container.streams.best("video")
    if stream is None or stream.codec_context is None:
      container.close()
      raise UserError(
        f"{self.path}: holds no pictures that can be decoded, sound alone?"
      )
    return container


class _Clock:
  """Seconds of a video's frames: their time stamps, or what the frame rate says."""

  def __init__(self, path: Path, fps: float | None, rate: float | None):
    self._path, self._fps = path, fps
    self._step = 1 / rate if rate else None  # To the next frame, where no stamp says.
    self._first: float | None = None
    self._last = -math.inf
    self.notes: list[str] = []

  def seconds(self, number: int, time: float | None) -> float:
    """Seconds from frame 0 to a frame with this time stamp; frames come in order.

    Raises:
      UserError: there are neither time stamps nor a frame rate.
    """
    if self._fps:
      return number / self._fps
    if number == 0:
      self._first, self._last = time, 0.0
      return 0.0
    known = time is not None and self._first is not None
    if known and (since := time - self._first) > self._last:
      self._step = self._step or since - self._last
      self._last = since
      return since
    if self._step is None:
      raise UserError(
        f"{self._path}: neither time stamps nor a frame rate are in the file; say how"
        " many frames a second were filmed: --fps 200"
      )
    if not self.notes:
      self.notes.append(
        f"time stamps are missing or out of order from frame {number} on; there"
        f" {1 / self._step:.4g} frames a second are assumed"
      )
    self._last += self._step
    return self._last


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
  """How a player maps the picture's axes: x' = a x + c y, y' = b x + d y."""
  data = frame.side_data.get("DISPLAYMATRIX")
  if data is None:
    return None
  a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).tolist()
  return a, b, c, d


def _upright(
  frame: av.VideoFrame, matrix: tuple[int, int, int, int] | None
) -> np.ndarray:
  """The picture as a player shows it, (H, W, 3) uint8 RGB."""
  image = frame.to_ndarray(format="rgb24")
  if matrix is None:
    return image
  a, b, c, d = matrix
  if abs(a) < abs(c):
    image, a, d = image.swapaxes(0, 1), c, b
  image = image[:, ::-1] if a < 0 else image
  image = image[::-1] if d < 0 else image
  return np.ascontiguousarray(image)


class FolderFootage:
  """A folder of frames, which are numbered by the last number in their names."""

  def __init__(self, path: Path, fps: float | None):
    """Lists the folder.

    Raises:
      UserError: no frames in it, two with one number, or no frame rate.
    """
    self.path, self.name = path, path.resolve().name
    self.notes: list[str] = []
    try:
      files = without_copies(frame_files(path))
    except OSError as error:
      raise UserError(f"{path}: cannot be listed ({error.strerror})") from error
    if not files:
      raise UserError(
        f"{path}: holds no frames; expected {', '.join(IMAGES)} with numbers in their"
        " names, such as img001.jpg"
      )
    if fps is None:
      raise UserError(
        f"{path}: a folder of frames does not say how many there are a second; give"
        " --fps, such as --fps 200"
      )
    self._fps, self._files = fps, {}
    for file in files:
      number = frame_number(file)
      if number in self._files:
        raise UserError(
          f"{path}: {self._files[number].name} and {file.name} are both frame {number};"
          " put each video's frames in a folder of its own"
        )
      self._files[number] = file
    self._numbers = sorted(self._files)
    self.count, self.rate = len(files), fps

  def __iter__(self) -> Iterator[Frame]:
    self.notes.clear()
    first, unreadable, shape = self._numbers[0], [], None
    for number in self._numbers:
      try:
        image = read_frame(self._files[number])
      except ValueError as error:
        unreadable.append(str(error))
        continue
      shape = shape or image.shape
      if image.shape != shape:
        raise UserError(
          f"{self._files[number]}: {image.shape[1]}x{image.shape[0]} pixels, the frames"
          f" before it {shape[1]}x{shape[0]}; expected frames of one size"
        )
      yield Frame(number, (number - first) / self._fps, _rgb(image))
    if shape is None:
      raise UserError(unreadable[0])
    if unreadable:
      self.notes.append(
        f"{len(unreadable)} of {self.count} frames cannot be read: {unreadable[0]}"
      )
    if (gaps := self._numbers[-1] - first + 1 - self.count) > 0:
      self.notes.append(f"{gaps} frames are missing between the first and the last one")

  def read(self, numbers: Collection[int]) -> Iterator[Frame]:
    for number in sorted(set(numbers) & self._files.keys()):
      try:
        image = read_frame(self._files[number])
      except ValueError:
        continue
      yield Frame(number, (number - self._numbers[0]) / self._fps, _rgb(image))


class ArrayFootage:
  """Frames in memory."""

  def __init__(self, frames: Sequence[np.ndarray] | np.ndarray, fps: float | None):
    """Checks the first frame.

    Raises:
      UserError: there is none, or it is no frame, or no frame rate.
    """
    self.name, self.notes = "frames", []
    if not len(frames):
      raise UserError("no frames were given, expected (T, H, W, 3) uint8")
    if fps is None:
      raise UserError("frames in memory need their frame rate: fps=200")
    self._frames, self._fps, self.count = frames, fps, len(frames)
    self.rate = fps
    self._shape = np.shape(frames[0])
    self._image(0)

  def _image(self, number: int) -> np.ndarray:
    image = np.asarray(self._frames[number])
    if (
      image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape != self._shape
    ):
      raise UserError(
        f"frame {number} is {image.dtype} {image.shape}, expected uint8 (H, W, 3) or"
        " (H, W), all of one size"
      )
    if image.shape[2:] not in ((), (1,), (3,)):
      raise UserError(f"frame {number} has {image.shape[2]} channels, expected 3 or 1")
    try:
      check_frame_size(image.shape[1], image.shape[0], f"frame {number}")
    except ValueError as error:
      raise UserError(str(error)) from error
    if image.shape[2:] != (3,):
      image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2RGB)
    return np.ascontiguousarray(image)

  def __iter__(self) -> Iterator[Frame]:
    return self.read(range(self.count))

  def read(self, numbers: Collection[int]) -> Iterator[Frame]:
    for number in sorted(set(numbers) & set(range(self.count))):
      yield Frame(number, number / self._fps, self._image(number))


def _rgb(image: np.ndarray) -> np.ndarray:
  return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
