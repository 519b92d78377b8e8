"""The videos that were handed in, one after the other looked at by another process.

What a damaged video does to a decoder, or a long one to the memory, ends that process
and no other: the video has failed, and the next one gets a new process.
"""

import json
import multiprocessing
import queue
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from infusenet_jax.predict.serve.task import FOLLOWING, Task
from infusenet_jax.predict.show import outputs
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.text import one_line

WAITING, WORKING, FINISHED, FAILED = "waiting", "working", "finished", "failed"
MOST_VIDEOS = 100  # That may be there at a time.
CORRECTED = "corrected.csv"
# What may be fetched of a finished video, where it is there.
FILES = (
  *(outputs.PAGE, outputs.INTERVALS, outputs.ELAN, outputs.FRAMES, outputs.JSON),
  *(outputs.MOVIE, CORRECTED),
)
_PATIENCE = 5.0  # Seconds that a process gets to end by itself.
_SURE = 3.0  # Seconds after which it can be said how long the rest takes,
_LEAST = 0.03  # and the share that must be done by then.


@dataclass(frozen=True)
class Video:
  """One video and what has become of it.

  number: from 1, in the order in which videos came.
  state: one of the words above.
  version: rises with every result.
  reason: why it failed, one line.
  progress: what is being done, and how far it is; what, frames, of how many (0: it is
    not known).
  since: when that was begun, by the monotonic clock.
  counts: intervals and blinks that were found.
  has_face: whether a face was found in any frame.
  """

  number: int
  task: Task
  state: str = WAITING
  version: int = 0
  reason: str = ""
  progress: tuple[str, int, int] = ("", 0, 0)
  since: float = field(default_factory=time.monotonic)
  counts: tuple[int, int] = (0, 0)
  has_face: bool = True

  @property
  def name(self) -> str:
    return self.task.video.name

  @property
  def is_busy(self) -> bool:
    """Whether there is something to wait for."""
    return self.state in (WAITING, WORKING)

  @property
  def share(self) -> float | None:
    """How much of what is being done is done, in [0, 1]; None where unknown."""
    _, done, count = self.progress
    return min(done / count, 1.0) if count and self.state == WORKING else None

  @property
  def seconds_left(self) -> float | None:
    """Of following the face, which takes longest; None where it is not known yet."""
    spent = time.monotonic() - self.since
    if (self.share or 0) < _LEAST or self.progress[0] != FOLLOWING or spent < _SURE:
      return None
    return spent / self.share * (1 - self.share)

  @property
  def files(self) -> list[str]:
    """Names of its outputs that are there."""
    if not self.version:
      return []
    return [name for name in FILES if (self.task.out / name).is_file()]

  def found(self) -> dict[str, Any]:
    """Its report.json."""
    return json.loads((self.task.out / outputs.JSON).read_text(encoding="utf-8"))


class Desk:
  """Takes videos in, has them looked at in turn, and knows how each is doing."""

  def __init__(self, folder: Path, target: Callable[[Connection], None]):
    """Begins to wait for videos.

    Args:
      folder: for them and for what is found; `close` removes it.
      target: what runs in the other process: `look.work`.
    """
    self.folder, self._target = folder, target
    self._videos: dict[int, Video] = {}
    self._last = 0
    self._waiting: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    self._lock = threading.RLock()
    self._process: multiprocessing.process.BaseProcess | None = None
    self._connection: Connection | None = None
    self._thread = threading.Thread(target=self._serve, daemon=True)
    self._thread.start()

  def videos(self) -> list[Video]:
    """All of them, in the order in which they came."""
    with self._lock:
      return list(self._videos.values())

  def video(self, number: int) -> Video | None:
    with self._lock:
      return self._videos.get(number)

  def add(self, path: Path, **wishes: Any) -> Video:
    """Takes a video's file in, moving it, and puts it last in the queue.

    Args:
      path: of the file.
      wishes: fields of its `Task`.

    Raises:
      UserError: there are too many, or the file cannot be moved.
    """
    with self._lock:
      if len(self._videos) >= MOST_VIDEOS:
        raise UserError(
          f"{path.name}: there are {MOST_VIDEOS} videos already; remove some first"
        )
      self._last += 1
      folder = self.folder / str(self._last)
      try:
        folder.mkdir(parents=True)
        shutil.move(path, folder / path.name)
      except OSError as error:
        raise UserError(
          f"{path.name}: cannot be kept ({error.strerror or error}); make room"
        ) from error
      task = Task(folder / path.name, folder / "found", **wishes)
      return self._enqueue(Video(self._last, task))

  def correct(self, number: int, table: Path) -> None:
    """Has the action units of a finished video named again, for other intervals.

    Args:
      number: of the video.
      table: as of `predict --intervals`; it is moved to the video's outputs.

    Raises:
      UserError: the video is not finished.
    """
    with self._lock:
      video = self._videos.get(number)
      if video is None or not video.version or video.is_busy:
        raise UserError("only a finished video's intervals can be corrected; wait")
      kept = video.task.out / CORRECTED
      shutil.move(table, kept)
      task = replace(video.task, intervals=kept)
      self._enqueue(replace(video, task=task, state=WAITING))

  def remove(self, number: int) -> None:
    """Forgets a video and deletes its files; one that is being looked at is stopped."""
    with self._lock:
      video = self._videos.pop(number, None)
      if video and video.state == WORKING:
        self._end_process()
    if video:
      shutil.rmtree(video.task.video.parent, ignore_errors=True)

  def close(self) -> None:
    """Stops at once and deletes all files."""
    with self._lock:
      self._videos.clear()
      self._waiting.put(None)
      self._end_process()
    self._thread.join(_PATIENCE)
    shutil.rmtree(self.folder, ignore_errors=True)

  def _enqueue(self, video: Video) -> Video:
    video = replace(video, state=WAITING, reason="", progress=("", 0, 0))
    self._videos[video.number] = video
    self._waiting.put(video.number)
    return video

  def _update(self, number: int, **fields: Any) -> bool:
    """Whether the video is still there."""
    with self._lock:
      if number in self._videos:
        self._videos[number] = replace(self._videos[number], **fields)
      return number in self._videos

  def _serve(self) -> None:
    while (number := self._waiting.get()) is not None:
      now = time.monotonic()
      if not self._update(number, state=WORKING, since=now, progress=("", 0, 0)):
        continue
      try:
        reason = self._look_at(number)
        if not reason and (video := self.video(number)):
          found = video.found()
          self._update(
            number,
            state=FINISHED,
            version=video.version + 1,
            counts=(len(found["intervals"]), len(found["blinks"])),
            has_face=any(found["frames"]["success"]),
          )
      except Exception as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
      if reason:
        self._update(number, state=FAILED, reason=reason)

  def _look_at(self, number: int) -> str:
    """Why it failed; nothing where it did not."""
    with self._lock:
      if (video := self._videos.get(number)) is None:
        return ""
      connection = self._connect()
      connection.send(video.task)
    try:
      while True:
        kind, *about = connection.recv()
        if kind != "progress":
          return _in_short(about[0], video.task) if about else ""
        fields = {"progress": tuple(about)}
        known = self.video(number)
        if known and known.progress[0] != about[0]:
          fields["since"] = time.monotonic()
        self._update(number, **fields)
    except (EOFError, OSError):
      return self._how_it_ended()

  def _connect(self) -> Connection:
    """The connection to a process that is ready for a task."""
    if self._process is None or not self._process.is_alive():
      # Of a fork JAX's threads would not be part.
      context = multiprocessing.get_context("spawn")
      self._connection, other = context.Pipe()
      self._process = context.Process(target=self._target, args=(other,), daemon=True)
      self._process.start()
      other.close()
    return self._connection

  def _how_it_ended(self) -> str:
    process = self._process
    if process is None:
      return "stopped"
    process.join(_PATIENCE)
    self._end_process()
    return (
      f"the process that looked at it ended with status {process.exitcode}: the file"
      " may be damaged, or the memory too small"
    )

  def _end_process(self) -> None:
    process, self._process = self._process, None
    if process is None:
      return
    # Whoever waits for its answer is told by the end of the connection.
    process.terminate()
    process.join(_PATIENCE)
    if process.is_alive():
      process.kill()


def _in_short(reason: str, task: Task) -> str:
  """A reason without the folders of this computer, which say nothing to a reader."""
  if task.intervals:
    reason = reason.replace(f"--intervals {task.intervals}", "intervals")
  return reason.replace(f"{task.video}: ", "").replace(f"{task.video}", task.video.name)
