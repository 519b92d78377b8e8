"""One fold with one seed: its batches, its checkpoints, how far it has come."""

import csv
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate.protocol import Fold
from infusenet_jax.runtime.checkpoint import Checkpoints
from infusenet_jax.runtime.devices import is_main, replicated
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.training.engine.inputs import Inputs, epoch_batches
from infusenet_jax.training.engine.network import Network, initial_state
from infusenet_jax.training.engine.steps import TrainState

LOSSES = "losses.csv"
CHECKPOINTS = "checkpoints"


class Course:
  """One fold with one seed on its way to the last epoch.

  Attributes:
    step: updates made so far.
    steps: updates in all.
    batches: what `Inputs.join` needs for each step from `step` on.
  """

  def __init__(self, config: ConfigDict, fold: Fold, seed: int, folder: Path):
    self.fold, self.seed, self.folder = fold, seed, folder
    self.numbers = np.flatnonzero(fold.train)
    self.batch_size = config.train.batch_size
    self.epoch_steps = steps_per_epoch(config, fold)
    self.steps = self.epoch_steps * config.train.epochs
    self.checkpoint_steps = self.epoch_steps * config.train.checkpoint_epochs
    self._of_epoch = functools.lru_cache(2)(self._draw_epoch)

  def begin(self, config: ConfigDict, network: Network, inputs: Inputs) -> TrainState:
    """The state to start with: the newest checkpoint's, or a fresh one."""
    self.checkpoints = course_checkpoints(self.folder, self.seed, self.fold)
    state = initial_state(config, network, self.seed)
    own = {
      "epoch_steps": jnp.int32(self.epoch_steps),
      "seed": jnp.uint32(self.seed % 2**32),
    }
    state = state._replace(**jax.device_put(own, replicated(network.mesh)))
    if (saved := self.checkpoints.restore(state)) is not None:
      state = saved
    self.step = int(state.step)
    self.batches = inputs.stream(self.batch, self.step, self.steps)
    return state

  def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Clip numbers (B,) and weights (B,) of a step."""
    return self._of_epoch(step // self.epoch_steps)[step % self.epoch_steps]

  def _draw_epoch(self, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    # The order depends on nothing but these three, so resuming repeats it.
    order = [self.seed, *self.fold.name.encode(), epoch]
    return list(epoch_batches(self.numbers, self.batch_size, order))

  @property
  def epoch(self) -> int:
    """The epoch of the last step made, from 1."""
    return -(-self.step // self.epoch_steps)

  @property
  def is_done(self) -> bool:
    return self.step >= self.steps

  def write_loss(self, loss: float) -> None:
    """Appends the epoch's mean loss to a CSV, over what a killed run left there."""
    if not is_main():
      return
    path, rows = self.folder / LOSSES, [["epoch", "loss"]]
    if self.epoch > 1 and path.exists():
      rows = list(csv.reader(path.read_text().splitlines()))[: self.epoch]
    rows.append([str(self.epoch), repr(loss)])
    write_atomically(path, "".join(",".join(row) + "\n" for row in rows))

  def not_finite(self, failed: int, clips: Clips) -> UserError:
    """What to say of a step whose loss or gradient is not finite."""
    numbers, weights = self.batch(failed)
    batch = numbers[weights > 0]
    names = sorted({f"{clips.database[i]} {clips.clip[i]}" for i in batch})
    return UserError(
      f"{self.folder}: loss or gradient of step {failed} (epoch "
      f"{failed // self.epoch_steps + 1}, clips {', '.join(names)}) is not finite; the "
      "state before it is saved there. Lower config.train.learning_rate, and start in "
      "another --workdir"
    )

  def __str__(self) -> str:
    return f"seed {self.seed}, leaving out {self.fold.name}"


def course_checkpoints(folder: Path, seed: int, fold: Fold) -> Checkpoints:
  """Those of one fold and seed in their folder."""
  whose = {"fold": fold.name, "seed": seed}
  return Checkpoints(folder / CHECKPOINTS, whose=whose)


def steps_per_epoch(config: ConfigDict, fold: Fold) -> int:
  """Updates in one pass over the fold's training clips."""
  return -(-int(fold.train.sum()) // config.train.batch_size)
