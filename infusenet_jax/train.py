"""One run of a protocol: every seed and fold trained, predicted and put into tables."""

import contextlib
import csv
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from infusenet_jax.checkpoint import Checkpoints
from infusenet_jax.data import Clips, epoch_batches, load_clips, sequential_batches
from infusenet_jax.engine import TrainState
from infusenet_jax.errors import Preempted, UserError
from infusenet_jax.inputs import Inputs, magnifier_arrays, make_inputs
from infusenet_jax.network import (
  Network,
  build_network,
  check_config,
  fold_names,
  initial_state,
  seconds_per_step,
  sees_frames,
)
from infusenet_jax.parallel import data_mesh, is_main_process, to_host
from infusenet_jax.predictions import Predictions, write_predictions
from infusenet_jax.protocol import Fold, folds
from infusenet_jax.results import print_results, results_exist, write_results
from infusenet_jax.stand_in import clips_expected, records_folder
from infusenet_jax.workdir import claim, fold_folder, keep_config

_log = logging.getLogger(__name__)

PREDICTIONS = "predictions.csv"


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> None:
  """Trains and tests every fold of every seed, and writes and prints the tables.

  Running it again resumes: finished folds are kept as they are in `workdir`, and the
  one that was interrupted goes on from its newest checkpoint.

  Raises:
    UserError: something about the config, the data or the workdir to be put right.
    Preempted: SIGTERM came; the state is saved.
  """
  check_config(config)
  mesh = data_mesh(config.train.batch_size)
  with claim(workdir, config) as workdir:
    if results_exist(workdir):
      _log.info("%s holds this run, finished; here are its tables again", workdir)
      print_results(config, workdir)
      return
    _log.info("compiling the network, which usually takes 10 to 60 s")
    network = build_network(config, mesh)
    say_time_needed(config, network)

    state = initial_state(config, network, config.seeds[0])
    clips = load_clips(records_folder(config), config.image_size)
    arrays = {"flow": clips.flow, "labels": clips.labels}
    if sees_frames(config):
      weights = (state.params, state.frozen, state.rest)
      arrays |= magnifier_arrays(
        clips,
        lambda frames: network.magnify(*weights, frames),
        mesh,
        batch_size=config.train.batch_size,
        frozen_magnifier=not config.train.magnifier,
      )
    inputs = make_inputs(arrays, mesh)
    todo = [
      (seed, fold)
      for seed in config.seeds
      for fold in folds(
        config.protocol, clips.database, clips.subject, fold_names(config)
      )
      if not (fold_folder(workdir, seed, fold.name) / PREDICTIONS).exists()
    ]
    keep_config(workdir, config)
    steps = sum(steps_per_epoch(config, fold) for _, fold in todo) * config.train.epochs
    bar = tqdm(total=steps, unit="step", disable=not is_main_process())
    with bar, stop_on_sigterm() as stop:
      for seed, fold in todo:
        bar.set_description(f"seed {seed}, leaving out {fold.name}")
        folder = fold_folder(workdir, seed, fold.name)
        state = train_fold(config, network, inputs, fold, seed, folder, bar, stop)
        logits = predict(network, state, inputs, fold, config)
        save_predictions(folder / PREDICTIONS, clips, fold, seed, logits)
    write_results(config, workdir, clips)
    print_results(config, workdir)


def train_fold(
  config: ConfigDict,
  network: Network,
  inputs: Inputs,
  fold: Fold,
  seed: int,
  folder: Path,
  bar: tqdm,
  stop: list[int],
) -> TrainState:
  """Trains one fold to its last epoch, from its newest checkpoint if it has one."""
  numbers = np.flatnonzero(fold.train)
  per_epoch = steps_per_epoch(config, fold)
  state = initial_state(config, network, seed)
  checkpoints = Checkpoints(folder / "checkpoints")
  with contextlib.closing(checkpoints):
    if (saved := checkpoints.restore(state)) is not None:
      state = saved
    done = int(state.step)
    bar.update(done)
    for epoch in range(done // per_epoch, config.train.epochs):
      # The order depends on nothing but these three, so resuming repeats it.
      order = [seed, *fold.name.encode(), epoch]
      batches = list(epoch_batches(numbers, config.train.batch_size, order))
      for step in range(int(state.step) - epoch * per_epoch, per_epoch):
        state = network.train_step(state, inputs.weighted(*batches[step]))
        bar.update()
        if bar.n == bar.last_print_n:  # The bar was drawn just now: rarely.
          show_loss(bar, state, epoch, step + 1)
        if stop:
          checkpoints.save(state)
          raise Preempted(f"saved in {folder}; run the same command again to go on")
      end_epoch(state, per_epoch, batches, epoch, folder, checkpoints)
      state = state._replace(loss_sum=jnp.zeros_like(state.loss_sum))
      if (epoch + 1) % config.train.checkpoint_epochs == 0:
        checkpoints.save(state)
    checkpoints.save(state)
  return state


def end_epoch(
  state: TrainState,
  per_epoch: int,
  batches: list[tuple[np.ndarray, np.ndarray]],
  epoch: int,
  folder: Path,
  checkpoints: Checkpoints,
) -> None:
  """Keeps the epoch's mean loss; stops where a step was not finite."""
  failed = int(state.failed_step)
  if failed >= 0:
    checkpoints.save(state)
    clips = sorted(set(batches[failed % per_epoch][0].tolist()))
    raise UserError(
      f"{folder}: loss or gradient of step {failed} (epoch {epoch + 1}, clips number "
      f"{clips}) is not finite; the state before it is saved there. Lower "
      "config.train.learning_rate, and start in another --workdir"
    )
  if is_main_process():
    write_loss(folder / "losses.csv", epoch + 1, float(state.loss_sum) / per_epoch)


def show_loss(bar: tqdm, state: TrainState, epoch: int, steps: int) -> None:
  """Puts the epoch and its mean loss over the first `steps` steps beside the bar."""
  loss = float(state.loss_sum) / steps
  bar.set_postfix_str(f"epoch {epoch + 1}, loss {loss:.4f}", refresh=False)


def predict(
  network: Network, state: TrainState, inputs: Inputs, fold: Fold, config: ConfigDict
) -> np.ndarray:
  """Logits (N, 12) of the fold's N test clips, from the heads that decide."""
  weights = (state.params, state.frozen, state.rest)
  rotations = network.rotate(*weights)
  parts = []
  batches = sequential_batches(np.flatnonzero(fold.test), config.train.batch_size)
  for numbers, count in batches:
    logits = network.eval_step(*weights, rotations, inputs.take(numbers))
    parts.append(to_host(logits)[:, :count])
  logits = np.concatenate(parts, axis=1)
  if config.decide_by == "both" or len(logits) == 1:  # A baseline has one head.
    return logits.mean(0)
  return logits[("flow", "magnified").index(config.decide_by)]


def save_predictions(
  path: Path, clips: Clips, fold: Fold, seed: int, logits: np.ndarray
) -> None:
  """Writes the predictions of one fold, which marks it as finished."""
  if not is_main_process():
    return
  count = len(logits)
  write_predictions(
    path,
    Predictions(
      database=clips.database[fold.test],
      subject=clips.subject[fold.test],
      clip=clips.clip[fold.test],
      fold=np.full(count, fold.name),
      seed=np.full(count, seed),
      logits=logits,
      labels=clips.labels[fold.test],
      simulated=clips.simulated,
    ),
  )


def write_loss(path: Path, epoch: int, loss: float) -> None:
  """Appends epoch (from 1) and loss to a CSV, over what a killed run left there."""
  rows = [["epoch", "loss"]]
  if epoch > 1 and path.exists():
    rows = list(csv.reader(path.read_text().splitlines()))[:epoch]
  rows.append([str(epoch), repr(loss)])
  path.write_text("".join(",".join(row) + "\n" for row in rows))


def say_time_needed(config: ConfigDict, network: Network) -> None:
  """Logs an estimate of the training time, from one measured step."""
  count = clips_expected(config)
  names = fold_names(config)
  if config.protocol != "cd6me" or not count:
    return
  seconds = seconds_per_step(config, network)
  every = 6
  steps = len(config.seeds) * len(names or range(every)) * config.train.epochs
  steps *= -(-round(count * (every - 1) / every) // config.train.batch_size)
  _log.info(
    "measured %.2f s per training step; a whole run of %d clips has %d steps, about %s "
    "(without preparing data and testing)",
    seconds,
    count,
    steps,
    duration(steps * seconds),
  )


def duration(seconds: float) -> str:
  """Seconds in words: "45 s", "12 min", "3.5 h", "11.2 days"."""
  for unit, size, digits in (("days", 86400, 1), ("h", 3600, 1), ("min", 60, 0)):
    if seconds >= 2 * size:
      return f"{seconds / size:.{digits}f} {unit}"
  return f"{seconds:.0f} s"


def steps_per_epoch(config: ConfigDict, fold: Fold) -> int:
  """Updates in one pass over the fold's training clips."""
  return -(-int(fold.train.sum()) // config.train.batch_size)


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[list[int]]:
  """A list that is empty until SIGTERM comes: the notice of a preempted machine."""
  received: list[int] = []
  before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
  try:
    yield received
  finally:
    signal.signal(signal.SIGTERM, before)
