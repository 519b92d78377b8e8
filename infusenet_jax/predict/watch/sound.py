"""The sound of a video file, read no further than its pictures have got."""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import av

# Samples a second that every encoder here takes; AAC takes others as well.
USUAL_RATE = 48_000
_AAC_RATES = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


class Sound:
  """A video's first sound track, on the clock of its pictures.

  Attributes:
    layout, channels: "mono" or 1, or "stereo" and 2, which surround is mixed down to.
    notes: what became known while it was read, in words.
  """

  def __init__(self, path: Path, container: av.container.InputContainer, start: float):
    """Takes the sound of `container`; pictures begin at `start`, seconds of the file.

    `of` finds both.
    """
    self._path, self._container, self._start = path, container, start
    self._stream = container.streams.best("audio")
    self.channels = min(2, self._stream.channels)
    self.layout = "mono" if self.channels == 1 else "stereo"
    self.notes: list[str] = []
    self._frames = self._decode()
    self._next = next(self._frames, None)

  @classmethod
  def of(cls, path: Path) -> Self | None:
    """The sound of a video; None where there is none, or none that can be read."""
    try:
      start = _first_picture(path)
      container = av.open(f"file:{path}", metadata_errors="replace")
      stream = container.streams.best("audio")
      if start is None or stream is None or not stream.rate or not stream.channels:
        container.close()
        return None
      sound = cls(path, container, start)
    except (av.FFmpegError, OSError, ValueError):
      return None
    return sound if sound._next is not None else None

  def rate(self, codec: str) -> int:
    """Samples a second in which `codec` is to keep it."""
    own = self._stream.rate
    return own if codec == "aac" and own in _AAC_RATES else USUAL_RATE

  def frames(self, until: float) -> Iterator[av.AudioFrame]:
    """What comes next, before `until`, in seconds from the first picture."""
    while self._next is not None and self._seconds(self._next) < until:
      frame, self._next = self._next, next(self._frames, None)
      seconds = self._seconds(frame)
      if seconds >= 0:  # What is heard before there is a picture is left out.
        frame.pts = round(seconds / frame.time_base)
        yield frame

  def _seconds(self, frame: av.AudioFrame) -> float:
    return frame.time - self._start

  def _decode(self) -> Iterator[av.AudioFrame]:
    first = None
    with self._container as container:
      packets = container.demux(self._stream)
      while True:
        try:
          packet = next(packets)
        except (StopIteration, av.FFmpegError):  # The rest of the file is not there.
          return
        try:
          frames = packet.decode()
        except av.FFmpegError:
          continue
        for frame in frames:
          if frame.pts is None or frame.time_base is None:
            continue
          kind = frame.format.name, frame.layout.name, frame.sample_rate
          first = first or kind
          if kind != first:
            seconds = self._seconds(frame)
            self.notes.append(
              f"{self._path.name}: its sound changes its kind after {seconds:.1f} s,"
              " from where on it is left out"
            )
            return
          yield frame


def _first_picture(path: Path) -> float | None:
  """When the first picture that can be decoded is shown, seconds of the file."""
  with av.open(f"file:{path}", metadata_errors="replace") as container:
    stream = container.streams.best("video")
    for packet in container.demux(stream) if stream else ():
      try:
        for frame in packet.decode():
          return frame.time
      except av.FFmpegError:
        continue
  return None
