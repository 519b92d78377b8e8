"""Training folds side by side, each from wherever it was left, and testing them."""

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate.protocol import Fold
from infusenet_jax.runtime.devices import even_batch
from infusenet_jax.runtime.preemption import Signals
from infusenet_jax.training.engine.course import Course
from infusenet_jax.training.engine.inputs import Inputs, sequential_batches
from infusenet_jax.training.engine.network import Network
from infusenet_jax.training.engine.steps import TrainState


class Lanes:
  """The courses that are trained side by side, one in each lane.

  There are as many lanes as the mesh has folds side by side.

  Attributes:
    courses: of each lane, None where nothing is left to do.
    states: their train states, stacked; None before the first course.
  """

  def __init__(self, config: ConfigDict, network: Network, inputs: Inputs):
    self.config, self.network, self.inputs = config, network, inputs
    self.courses: list[Course | None] = [None] * network.mesh.shape["fold"]
    self.states: TrainState | None = None

  def running(self) -> Iterator[tuple[int, Course]]:
    """The lanes that have a course, and their courses."""
    return ((i, course) for i, course in enumerate(self.courses) if course is not None)

  def begin(self, lane: int, course: Course) -> None:
    """Puts a course, from where it was left, into a lane."""
    state = course.begin(self.config, self.network, self.inputs)
    if self.states is None:
      self.states = self.network.slots.fill(state)
    self.states = self.network.slots.put(self.states, lane, state)
    self.courses[lane] = course

  def step(self) -> None:
    """One update of every course."""
    drawn = [course and next(course.batches) for course in self.courses]
    self.states = self.network.train_step(self.states, self.inputs.join(drawn))
    for _, course in self.running():
      course.step += 1

  def check_finite(self, lane: int, clips: Clips) -> None:
    """Raises UserError, with the state saved, where a step of a lane has failed."""
    failed = int(self.network.slots.progress(self.states)[1][lane])
    if failed >= 0:
      self.save(lane)
      raise self.courses[lane].not_finite(failed, clips)

  def end_epoch(self, lane: int) -> None:
    """Writes the epoch's mean loss, and a checkpoint if it is time for one."""
    course = self.courses[lane]
    loss_sum = float(self.network.slots.progress(self.states)[0][lane])
    course.write_loss(loss_sum / course.epoch_steps)
    if course.is_done or course.step % course.checkpoint_steps == 0:
      self.save(lane)

  def save(self, lane: int) -> None:
    self.courses[lane].checkpoints.save(self.pick(lane))

  def pick(self, lane: int) -> TrainState:
    """The state of one lane, on all devices."""
    return self.network.slots.pick(self.states, lane)

  def end_course(self, lane: int) -> None:
    """Empties a lane whose course has made its last step."""
    course, self.courses[lane] = self.courses[lane], None
    with contextlib.closing(course.checkpoints):
      course.checkpoints.keep_newest()

  def close(self) -> None:
    """Waits until the checkpoints of all lanes are on disk."""
    for _, course in self.running():
      course.checkpoints.close()

  def running_loss(self) -> str:
    """Mean loss of the first course's epoch so far, for the bar."""
    # This process's own device answers: the others may not be asking.
    loss_sum = float(self.states.loss_sum.addressable_data(0)[0])
    step = int(self.states.step.addressable_data(0)[0])
    _, course = next(self.running())
    steps = (step - 1) % course.epoch_steps + 1
    return f"epoch {course.epoch}, loss {loss_sum / steps:.4f}"


def train_folds(
  config: ConfigDict,
  network: Network,
  inputs: Inputs,
  clips: Clips,
  courses: list[Course],
  bar: tqdm,
  signals: Signals,
  finish: Callable[[Course, TrainState], None],
) -> None:
  """Takes every course to its end, as many at once as the mesh has folds side by side.

  `finish` is called with the state of each course that has made its last step.

  Raises:
    UserError: a loss or gradient is not finite, or a checkpoint cannot be written.
    Preempted: SIGTERM came; the states are saved.
    KeyboardInterrupt: Ctrl-C came; the states are saved.
  """
  waiting = deque(courses)
  with contextlib.closing(Lanes(config, network, inputs)) as lanes:
    for rounds in itertools.count():
      for lane in range(len(lanes.courses)):
        _next_course(lanes, lane, waiting, clips, bar, finish)
      running = list(lanes.running())
      if signals.stop_before(rounds):  # While the last fold was tested, perhaps.
        for lane, _ in running:
          lanes.save(lane)
        signals.stop(courses[0].folder.parent)
      if not running:
        return
      names = ", ".join(str(course) for _, course in running[:2])
      bar.set_description(names, refresh=False)
      lanes.step()
      bar.update(len(running))
      if not bar.disable and bar.n == bar.last_print_n:  # Drawn just now: rarely.
        bar.set_postfix_str(lanes.running_loss(), refresh=False)
      for lane, course in running:
        if course.step % course.epoch_steps == 0:
          lanes.check_finite(lane, clips)
          lanes.end_epoch(lane)


def _next_course(lanes, lane, waiting, clips, bar, finish) -> None:
  """Ends the course of a lane if it is done, and begins the next that is not."""
  while True:
    course = lanes.courses[lane]
    if course is not None:
      if not course.is_done:
        return
      state = lanes.pick(lane)
      lanes.end_course(lane)
      finish(course, state)
    if not waiting:
      return
    lanes.begin(lane, waiting.popleft())
    lanes.check_finite(lane, clips)
    bar.total -= lanes.courses[lane].step


def predict(
  config: ConfigDict, network: Network, state: TrainState, inputs: Inputs, fold: Fold
) -> np.ndarray:
  """Logits (N, 12) of the fold's N test clips, from the heads that decide."""
  weights = (state.params, state.frozen, state.rest)
  rotations = network.rotate(*weights)
  batch_size = even_batch(config.train.batch_size, network.mesh)
  batches = sequential_batches(np.flatnonzero(fold.test), batch_size)
  parts = []
  for numbers, count in tqdm(
    list(batches), desc=f"testing on {fold.name}", delay=3, leave=False
  ):
    logits = network.eval_step(*weights, rotations, inputs.take(numbers))
    parts.append(np.asarray(logits)[:, :count])
  logits = np.concatenate(parts, axis=1)
  if config.decide_by == "both" or len(logits) == 1:  # A baseline has one head.
    return logits.mean(0)
  return logits[("flow", "magnified").index(config.decide_by)]
