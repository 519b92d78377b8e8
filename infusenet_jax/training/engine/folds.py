"""Trains folds side by side, each from its newest checkpoint."""

import contextlib
import csv
import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from ml_collections import ConfigDict
from tqdm import tqdm

from infusenet_jax.clips.records import Clips
from infusenet_jax.runtime.checkpoint import Checkpoints
from infusenet_jax.runtime.devices import is_main, replicate
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.preemption import Signals
from infusenet_jax.runtime.run_files import LOSSES
from infusenet_jax.training.engine.experiment import Experiment, Job
from infusenet_jax.training.engine.schedule import Schedule
from infusenet_jax.training.engine.steps import TrainState

# What a finished fold keeps only where config.train.keep_state says so.
FOR_TRAINING = ("opt_state",)
REDRAW_SECONDS = 1.0  # At least so much time passes until the bar's loss is updated.


@dataclass
class FoldTraining:
  """A job (one fold and seed) in training.

  Attributes:
    job: the fold, the seed and their folder.
    schedule: of the job's batches.
    checkpoints: of the job.
    batches: one item for each of the steps that are left, for `Inputs.join`.
    step: updates made so far.
  """

  job: Job
  schedule: Schedule
  checkpoints: Checkpoints
  batches: Iterator[Any]
  step: int

  @property
  def epoch(self) -> int:
    """The epoch of the last step made, from 1."""
    return -(-self.step // self.schedule.epoch_steps)

  @property
  def is_done(self) -> bool:
    return self.step >= self.schedule.steps

  def next_batches(self, count: int) -> list[Any]:
    """Takes the items of the next `count` steps, or of all that are left."""
    return list(itertools.islice(self.batches, count))

  def is_to_be_saved_after(self, step: int) -> bool:
    """Whether the steps since `step` reach one after which the state is to be saved."""
    every = self.schedule.checkpoint_steps
    return self.is_done or self.step // every > step // every

  def epochs_ended_after(self, step: int) -> list[tuple[int, int]]:
    """Lists (epoch, steps from `step` to its end) of the epochs ended since `step`."""
    steps = self.schedule.epoch_steps
    ended = range(step // steps + 1, self.step // steps + 1)
    return [(epoch, epoch * steps - step) for epoch in ended]

  def write_loss(self, epoch: int, loss: float) -> None:
    """Writes an epoch's mean loss to losses.csv, replacing this and later epochs' rows.

    A run that was killed may have left those: it goes on from an earlier checkpoint.
    """
    if not is_main():
      return
    path, rows = self.job.folder / LOSSES, [["epoch", "loss"]]
    if epoch > 1 and path.exists():
      rows = list(csv.reader(path.read_text().splitlines()))[:epoch]
    rows.append([str(epoch), repr(loss)])
    write_atomically(path, "".join(",".join(row) + "\n" for row in rows))

  def not_finite(self, failed: int, clips: Clips) -> UserError:
    """Makes the error for step `failed`, whose loss or gradient was not finite."""
    numbers, weights = self.schedule.batch(failed)
    names = {f"{clips.database[i]} {clips.clip[i]}" for i in numbers[weights > 0]}
    return UserError(
      f"{self.job.folder}: loss or gradient of step {failed} (epoch "
      f"{failed // self.schedule.epoch_steps + 1}, clips {', '.join(sorted(names))}) "
      "is not finite; the state before it is saved there. Lower "
      "config.train.learning_rate, and start in another --workdir"
    )


def resume(experiment: Experiment, job: Job) -> tuple[FoldTraining, TrainState]:
  """Restores a job and its state from its newest checkpoint, or begins it."""
  schedule = Schedule(experiment.config, job.fold, job.seed)
  own = {
    "epoch_steps": jnp.int32(schedule.epoch_steps),
    "seed": jnp.uint32(job.seed % 2**32),
  }
  own = replicate(own, experiment.network.mesh)
  fresh = experiment.initial_state(job.seed)._replace(**own)
  checkpoints = job.open_checkpoints()
  saved = checkpoints.restore(fresh)
  state = fresh if saved is None else saved
  step = int(state.step)
  told = experiment.network.objective.arrays(job.fold, experiment.clips)
  batches = experiment.inputs.stream(schedule.batch, step, schedule.steps, told)
  return FoldTraining(job, schedule, checkpoints, batches, step), state


class SideBySide:
  """The F folds that one compiled step trains together, and their stacked states.

  There are F places, as many as the mesh trains folds side by side. A job is put in a
  free place and leaves it when it is trained.

  Attributes:
    trainings: the training in each place; None in a place that is free.
    states: of the places, (F, ...) in every leaf.
  """

  def __init__(self, experiment: Experiment):
    self.experiment, self.network = experiment, experiment.network
    self.trainings: list[FoldTraining | None] = [None] * self.network.mesh.shape["fold"]
    seed = experiment.config.seeds[0]
    self.states = self.network.stack.fill(experiment.initial_state(seed))

  def running(self) -> list[tuple[int, FoldTraining]]:
    """Lists (place, training) of the places that are not free."""
    return [(i, t) for i, t in enumerate(self.trainings) if t is not None]

  def begin(self, place: int, job: Job) -> FoldTraining:
    """Puts a job in a place, to go on from its newest checkpoint or begin.

    Raises:
      UserError: the checkpoint is of a step whose loss or gradient was not finite.
    """
    training, state = resume(self.experiment, job)
    self.states = self.network.stack.put(self.states, place, state)
    self.trainings[place] = training
    self.check_finite(place)
    return training

  def step(self) -> int:
    """Makes the updates of one dispatch in every place; writes losses and checkpoints.

    Returns:
      How many updates were made, in all places together.
    """
    inputs = self.experiment.inputs
    drawn = [
      t.next_batches(inputs.steps_per_dispatch) if t else [] for t in self.trainings
    ]
    self.states, loss_sums = self.network.train_steps(self.states, inputs.join(drawn))
    for place, training in self.running():
      before = training.step
      training.step += len(drawn[place])
      ended = training.epochs_ended_after(before)
      if ended:
        self.check_finite(place)
      for epoch, count in ended:
        loss_sum = float(loss_sums[place, count - 1])
        training.write_loss(epoch, loss_sum / training.schedule.epoch_steps)
      if training.is_to_be_saved_after(before):
        self.save(place)
    return sum(map(len, drawn))

  def check_finite(self, place: int) -> None:
    """Saves the state and raises UserError if a loss or gradient was not finite."""
    failed = int(self.network.stack.progress(self.states)[1][place])
    if failed >= 0:
      self.save(place)
      raise self.trainings[place].not_finite(failed, self.experiment.clips)

  def save(self, place: int) -> None:
    """Writes a fold's state; of a finished one without what only training needs."""
    training = self.trainings[place]
    kept = self.experiment.config.train.get("keep_state", False)
    left_out = FOR_TRAINING if training.is_done and not kept else ()
    training.checkpoints.save(self.pick(place), left_out)

  def pick(self, place: int) -> TrainState:
    """Copies the state of the fold in a place, whole on every device."""
    return self.network.stack.pick(self.states, place)

  def end(self, place: int) -> tuple[Job, TrainState]:
    """Frees a place whose fold is trained; returns the job and its state."""
    training, state = self.trainings[place], self.pick(place)
    self.trainings[place] = None
    with contextlib.closing(training.checkpoints) as checkpoints:
      checkpoints.keep_newest()
    return training.job, state

  def close(self) -> None:
    """Waits until all checkpoints are on disk and closes them."""
    for _, training in self.running():
      training.checkpoints.close()

  def running_loss(self) -> str:
    """Describes epoch and mean loss so far of the first fold, for the progress bar."""
    # Read from a device of this process: the other processes may not be reading now.
    loss_sum = float(self.states.loss_sum.addressable_data(0)[0])
    step = int(self.states.step.addressable_data(0)[0])
    _, training = self.running()[0]
    steps = (step - 1) % training.schedule.epoch_steps + 1
    return f"epoch {training.epoch}, loss {loss_sum / steps:.4f}"


def train_folds(
  experiment: Experiment, jobs: Sequence[Job], signals: Signals
) -> Iterator[tuple[Job, TrainState]]:
  """Trains every job and yields it with its state as soon as it is trained.

  As many jobs are trained at once as the mesh has folds side by side.

  Raises:
    UserError: a loss or gradient is not finite, or a checkpoint cannot be written.
    Preempted: SIGTERM came; the states are saved.
    KeyboardInterrupt: Ctrl-C came; the states are saved.
  """
  waiting = deque(jobs)
  progress = _Progress(experiment.config, jobs)
  with contextlib.closing(SideBySide(experiment)) as side, progress.bar:
    for rounds in itertools.count():
      for place in range(len(side.trainings)):
        while (training := side.trainings[place]) is None or training.is_done:
          if training is not None:
            yield side.end(place)
          if not waiting:
            break
          progress.skip(side.begin(place, waiting.popleft()).step)
      running = side.running()
      # Asked even if no job is left: a signal may have come while the last was tested.
      if signals.stop_before(rounds):
        for place, _ in running:
          side.save(place)
        signals.stop(jobs[0].folder.parent)
      if not running:
        return
      steps = side.step()
      progress.advance(side, [training.job for _, training in running], steps)


class _Progress:
  """A progress bar over the steps of all jobs, with the current loss."""

  def __init__(self, config: ConfigDict, jobs: Sequence[Job]):
    self.total = sum(Schedule(config, job.fold, job.seed).steps for job in jobs)
    self.bar = tqdm(total=self.total, unit="step", miniters=1, disable=not is_main())
    self._drawn = -REDRAW_SECONDS

  def skip(self, steps: int) -> None:
    """Takes steps that an earlier process made out of the total."""
    self.total -= steps
    self.bar.total = self.total

  def advance(self, side: SideBySide, jobs: Sequence[Job], steps: int) -> None:
    """Counts the steps just made, of all `jobs` together."""
    now = time.monotonic()
    if is_main() and now - self._drawn >= REDRAW_SECONDS and side.running():
      self._drawn = now
      self.bar.set_description(", ".join(map(str, jobs[:2])), refresh=False)
      self.bar.set_postfix_str(side.running_loss(), refresh=False)
    self.bar.update(steps)
