"""Looking at videos, in a process of its own."""

import multiprocessing
import multiprocessing.connection
import signal
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from infusenet_jax.predict.analysis import Followed, Settings, follow_face, report_on
from infusenet_jax.predict.given import read_intervals
from infusenet_jax.predict.serve.task import DRAWING, FOLLOWING, LOOKING, Task
from infusenet_jax.predict.show import outputs
from infusenet_jax.predict.show.movie import write_movie
from infusenet_jax.predict.watch.video import Footage, Frame, open_footage
from infusenet_jax.predict.weights import networks as trained
from infusenet_jax.predict.weights.networks import Networks
from infusenet_jax.runtime.devices import keep_compiled, keep_freed_memory
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.text import one_line

_OFTEN = 0.25  # Seconds between two messages about progress.
_MOST_KEPT = 20  # Videos whose faces need not be followed again.

Tell = Callable[[str, int, int], None]  # Told what is done, frames so far, of how many.


class Watched:
  """Footage that tells how far it was read."""

  def __init__(self, footage: Footage, tell: Tell):
    self.name, self._footage, self._tell = footage.name, footage, tell
    self.reading = LOOKING  # What frames that are asked for by number are for.

  @property
  def count(self) -> int | None:
    return self._footage.count

  @property
  def notes(self) -> list[str]:
    return self._footage.notes

  def __iter__(self) -> Iterator[Frame]:
    for done, frame in enumerate(self._footage, 1):
      yield frame
      self._tell(FOLLOWING, done, self.count or 0)

  def read(self, numbers: Collection[int]) -> Iterator[Frame]:
    for done, frame in enumerate(self._footage.read(numbers), 1):
      yield frame
      self._tell(self.reading, done, len(numbers))


class Eye:
  """Looks at one video after the other; networks and followed faces are kept."""

  def __init__(self):
    self._networks: dict[Path | None, Networks] = {}
    self._followed: OrderedDict[tuple[Path, float | None], Followed] = OrderedDict()

  def look_at(self, task: Task, tell: Tell) -> None:
    """Does a task and writes the outputs, as `python -m infusenet_jax.predict` does.

    Raises:
      UserError: the video, the weights or the table of intervals is no good.
    """
    footage = Watched(open_footage(task.video, task.fps), tell)
    given = None
    if task.intervals:
      given = read_intervals(task.intervals).of(footage.name)
    networks = self._load(task.run)
    report = report_on(
      footage,
      networks,
      given,
      Settings(fps=task.fps),
      followed=self._follow(task, footage),
    )
    outputs.make_folder(task.out)
    movie = task.out / outputs.MOVIE
    movie.unlink(missing_ok=True)  # Of other intervals.
    if task.movie:
      footage.reading = DRAWING
      amp = Settings().amp
      write_movie(
        movie,
        report,
        footage.read(report.frames.number.tolist()),
        lambda a, b: networks.magnified(a[None], b[None], amp)[0],
        amp=amp,
      )
    outputs.save(report, task.out)

  def _load(self, run: Path | None) -> Networks:
    if run not in self._networks:
      self._networks[run] = trained.load_run(run) if run else trained.shipped()
    return self._networks[run]

  def _follow(self, task: Task, footage: Watched) -> Followed:
    key = (task.video, task.fps)
    if key not in self._followed:
      self._followed[key] = follow_face(footage)
      while len(self._followed) > _MOST_KEPT:
        self._followed.popitem(last=False)
    return self._followed[key]


def work(connection: multiprocessing.connection.Connection) -> None:
  """Does the tasks that come through a connection, until it is closed.

  Sent back are ("progress", what, done, count), then ("finished",) or ("failed", why).
  """
  if multiprocessing.parent_process():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent ends this process.
    # By SIGTERM, which would leave semaphores behind, of which Python then warns.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
  keep_freed_memory()
  keep_compiled()
  eye, told = Eye(), 0.0

  def tell(*progress) -> None:
    nonlocal told
    if (now := time.monotonic()) - told >= _OFTEN:
      told = now
      connection.send(("progress", *progress))

  while True:
    try:
      task = connection.recv()
    except (EOFError, OSError):
      return
    try:
      eye.look_at(task, tell)
      answer = ("finished",)
    except UserError as error:
      answer = ("failed", one_line(error))
    except Exception as error:
      answer = ("failed", f"{type(error).__name__}: {one_line(error)}")
    connection.send(answer)
