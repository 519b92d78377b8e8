"""Training and testing one fold with one seed, from wherever it was left."""

import contextlib
import csv
import signal
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from infusenet_jax.checkpoint import Checkpoints
from infusenet_jax.data import Clips, epoch_batches, sequential_batches
from infusenet_jax.engine import TrainState
from infusenet_jax.errors import Preempted, UserError
from infusenet_jax.files import write_atomically
from infusenet_jax.inputs import Inputs
from infusenet_jax.network import Network, initial_state
from infusenet_jax.protocol import Fold

LOSSES = "losses.csv"


def train_fold(
  config: ConfigDict,
  network: Network,
  inputs: Inputs,
  clips: Clips,
  fold: Fold,
  seed: int,
  folder: Path,
  bar: tqdm,
  stop: list[int],
) -> TrainState:
  """Trains one fold to its last epoch, from its newest checkpoint if it has one.

  Raises:
    UserError: a loss or gradient is not finite.
    Preempted: `stop` holds SIGTERM; the state is saved.
    KeyboardInterrupt: `stop` holds SIGINT; the state is saved.
  """
  numbers = np.flatnonzero(fold.train)
  per_epoch = steps_per_epoch(config, fold)

  def batches_of(epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    # The order depends on nothing but these three, so resuming repeats it.
    order = [seed, *fold.name.encode(), epoch]
    return list(epoch_batches(numbers, config.train.batch_size, order))

  def check_finite(state: TrainState) -> None:
    if (failed := int(state.failed_step)) < 0:
      return
    checkpoints.save(state)
    batch = batches_of(failed // per_epoch)[failed % per_epoch][0]
    names = sorted({f"{clips.database[i]} {clips.clip[i]}" for i in batch})
    raise UserError(
      f"{folder}: loss or gradient of step {failed} (epoch {failed // per_epoch + 1}, "
      f"clips {', '.join(names)}) is not finite; the state before it is saved there. "
      "Lower config.train.learning_rate, and start in another --workdir"
    )

  def save_and_stop(state: TrainState) -> None:
    checkpoints.save(state)
    if signal.SIGINT in stop:
      raise KeyboardInterrupt
    raise Preempted(f"saved in {folder}; run the same command again to go on")

  state = initial_state(config, network, seed)
  with contextlib.closing(Checkpoints(folder / "checkpoints")) as checkpoints:
    if (saved := checkpoints.restore(state)) is not None:
      state = saved
    check_finite(state)
    done = int(state.step)
    bar.total -= done
    for epoch in range(done // per_epoch, config.train.epochs):
      batches = batches_of(epoch)
      for step in range(int(state.step) - epoch * per_epoch, per_epoch):
        state = network.train_step(state, inputs.weighted(*batches[step]))
        bar.update()
        if bar.n == bar.last_print_n:  # Drawn just now: rarely.
          loss = float(state.loss_sum) / (step + 1)
          bar.set_postfix_str(f"epoch {epoch + 1}, loss {loss:.4f}", refresh=False)
        if step + 1 < per_epoch and stop:
          save_and_stop(state)
      check_finite(state)
      write_loss(folder / LOSSES, epoch + 1, float(state.loss_sum) / per_epoch)
      state = state._replace(loss_sum=jnp.zeros_like(state.loss_sum))
      if stop:
        save_and_stop(state)
      if (epoch + 1) % config.train.checkpoint_epochs == 0:
        checkpoints.save(state)
    checkpoints.save(state)
    checkpoints.keep_newest()
  return state


def predict(
  config: ConfigDict, network: Network, state: TrainState, inputs: Inputs, fold: Fold
) -> np.ndarray:
  """Logits (N, 12) of the fold's N test clips, from the heads that decide."""
  weights = (state.params, state.frozen, state.rest)
  rotations = network.rotate(*weights)
  batches = sequential_batches(np.flatnonzero(fold.test), config.train.batch_size)
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


def write_loss(path: Path, epoch: int, loss: float) -> None:
  """Appends epoch (from 1) and loss to a CSV, over what a killed run left there."""
  rows = [["epoch", "loss"]]
  if epoch > 1 and path.exists():
    rows = list(csv.reader(path.read_text().splitlines()))[:epoch]
  rows.append([str(epoch), repr(loss)])
  write_atomically(path, "".join(",".join(row) + "\n" for row in rows))


def steps_per_epoch(config: ConfigDict, fold: Fold) -> int:
  """Updates in one pass over the fold's training clips."""
  return -(-int(fold.train.sum()) // config.train.batch_size)


@contextlib.contextmanager
def catch_signals() -> Iterator[list[int]]:
  """A list that SIGTERM (a machine's notice) and the first Ctrl-C are put into.

  Training then saves and stops after the step at hand; a second Ctrl-C stops at once.
  """
  received: list[int] = []

  def note(number: int, _) -> None:
    if number == signal.SIGINT and number in received:
      raise KeyboardInterrupt
    received.append(number)

  before = {s: signal.signal(s, note) for s in (signal.SIGTERM, signal.SIGINT)}
  try:
    yield received
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
