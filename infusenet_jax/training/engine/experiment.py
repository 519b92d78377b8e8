"""The network and clips that all folds and seeds share; tests trained folds."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.protocol import Fold
from infusenet_jax.runtime.checkpoint import Checkpoints
from infusenet_jax.runtime.devices import even_batch
from infusenet_jax.runtime.run_files import LAST_WRITTEN, fold_folder
from infusenet_jax.training.engine.inputs import (
  Inputs,
  Resident,
  input_arrays,
  make_inputs,
)
from infusenet_jax.training.engine.network import (
  Network,
  batch_shapes,
  decide,
  initial_state,
)
from infusenet_jax.training.engine.schedule import sequential_batches
from infusenet_jax.training.engine.steps import TrainState, new_state

_log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Job:
  """One fold to be trained with one seed, and the folder for its files."""

  fold: Fold
  seed: int
  folder: Path

  def __str__(self) -> str:
    what = f"leaving out {self.fold.name}" if self.fold.test.any() else "on all clips"
    return f"seed {self.seed}, {what}"

  def open_checkpoints(self) -> Checkpoints:
    """Opens the checkpoints in its folder; those of another fold or seed are errors."""
    return open_checkpoints(self.folder, self.seed, self.fold.name)


def open_checkpoints(folder: Path, seed: int, fold: str) -> Checkpoints:
  """The checkpoints of a seed and fold in the fold's folder."""
  whose, advice = {"fold": fold, "seed": seed}, how_to_train_again(folder)
  return Checkpoints(folder / CHECKPOINTS, whose=whose, advice=advice)


def how_to_train_again(folder: Path) -> str:
  """Says how the fold of this folder is trained once more, and it alone."""
  last = folder.parents[1] / LAST_WRITTEN
  return (
    f"to train this fold alone again, delete {folder} and {last}, then run the command "
    "that began the run"
  )


def make_job(workdir: Path, seed: int, fold: Fold) -> Job:
  """Makes the job of one fold and seed of the run in `workdir`."""
  return Job(fold, seed, fold_folder(workdir, seed, fold.name))


@dataclass(frozen=True)
class Experiment:
  """A network and the clips that it is trained and tested on, built once.

  Attributes:
    config: of the run.
    network: whose steps are compiled on first use.
    clips: all clips; folds are masks over them.
    inputs: what the network sees of each clip, on the devices if it fits there.
  """

  config: ConfigDict
  network: Network
  clips: Clips
  inputs: Inputs

  def initial_state(self, seed: int) -> TrainState:
    """Makes the state of a fold before its first step."""
    return initial_state(self.config, self.network, seed)

  def predict(self, state: TrainState, fold: Fold) -> np.ndarray:
    """Computes the deciding logits (N, 12) of the fold's N test clips; see `decide`."""
    if not fold.test.any():
      return np.zeros((0, len(AUS)), np.float32)
    rotations = self.network.rotate(state.weights)
    batch_size = even_batch(self.config.train.batch_size, self.network.mesh)
    batches = sequential_batches(np.flatnonzero(fold.test), batch_size)
    parts = []
    for numbers, count in tqdm(
      list(batches), desc=f"testing on {fold.name}", delay=3, leave=False
    ):
      batch = self.inputs.take(numbers)
      logits = self.network.eval_step(state.weights, rotations, batch)
      parts.append(np.asarray(logits)[:, :count])
    heads = np.concatenate(parts, axis=1)
    return decide(heads, self.network.head_names, self.config.decide_by)

  def predictions(self, job: Job, state: TrainState) -> Predictions:
    """Predicts the test clips of a trained fold, ready to be scored or written."""
    clips, test = self.clips, job.fold.test
    logits = self.predict(state, job.fold)
    return Predictions(
      database=clips.database[test],
      subject=clips.subject[test],
      clip=clips.clip[test],
      fold=np.full(len(logits), job.fold.name),
      seed=np.full(len(logits), job.seed),
      logits=logits,
      labels=clips.labels[test],
      simulated=clips.simulated,
    )


def seconds_per_step(config: ConfigDict, network: Network, clips: int) -> float:
  """Compiles the train steps and times one, on weights and `clips` clips of zeros."""
  state = blank_state(network)
  states = network.stack.fill(state)
  batch_size, folds = config.train.batch_size, network.mesh.shape["fold"]
  if network.steps_per_dispatch == 1:  # The program does not depend on their number.
    clips = batch_size
  arrays = {
    name: np.zeros((clips, *like.shape[1:]), like.dtype)
    for name, like in batch_shapes(config).items()
    if name != "weights"
  }
  told = network.objective.stand_in(clips)
  inputs = make_inputs(arrays, batch_size, network.mesh, network.steps_per_dispatch)
  step = np.zeros(batch_size, np.int64), np.zeros(batch_size, np.float32)
  batches = inputs.join([list(inputs.stream(lambda _: step, 0, 1, told))] * folds)
  states, _ = jax.block_until_ready(network.train_steps(states, batches))
  start = time.monotonic()
  jax.block_until_ready(network.train_steps(states, batches))
  return (time.monotonic() - start) / inputs.steps_per_dispatch


def blank_state(network: Network) -> TrainState:
  """A state of zeros: what a checkpoint is restored like, and steps are timed on."""
  weights = jax.tree.map(_zeros, network.like)
  return new_state(weights, network.optimizer, network.mesh)


def _zeros(like: jax.ShapeDtypeStruct) -> np.ndarray | jax.Array:
  if jnp.issubdtype(like.dtype, jax.dtypes.prng_key):  # The key of a net's dropout.
    return jax.random.key(0)
  return np.zeros(like.shape, like.dtype)


def make_experiment(config: ConfigDict, network: Network, clips: Clips) -> Experiment:
  """Puts what the network sees of the clips on the devices.

  The latents of a frozen magnifier are computed here, once for all folds and seeds.
  """
  state = initial_state(config, network, config.seeds[0])
  arrays = input_arrays(config, network, state, clips)
  inputs = make_inputs(
    arrays, config.train.batch_size, network.mesh, network.steps_per_dispatch
  )
  size = sum(array.nbytes for array in arrays.values()) / 1e9
  if isinstance(inputs, Resident):
    _log.info("all clips (%.2f GB) fit the device's memory and stay there", size)
  else:
    _log.info(
      "clips (%.1f GB) do not fit the device's memory; each batch is sent there", size
    )
  return Experiment(config, network, clips, inputs)
