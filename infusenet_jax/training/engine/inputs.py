"""What the network is fed: clips on the device, everything constant computed once."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import grain
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from ml_collections import ConfigDict
from tqdm import tqdm

from infusenet_jax.clips.records import FRAMES, Clips
from infusenet_jax.runtime.devices import (
  even_batch,
  fits_device,
  over_batch,
  over_folds_and_batch,
  replicated,
)
from infusenet_jax.training.engine.config import sees_frames
from infusenet_jax.training.engine.network import Network
from infusenet_jax.training.engine.schedule import sequential_batches
from infusenet_jax.training.engine.steps import Batch, Batches, TrainState

_log = logging.getLogger(__name__)


# A fold's schedule: step -> clip numbers (B,) and their weights (B,).
Draw = Callable[[int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Resident:
  """All clips (N, ...) on every device; a batch is an index into them.

  Several steps in one dispatch look their clips up themselves; for a single one they
  are looked up before, so that what is compiled does not depend on N.
  """

  arrays: Batch
  gather: Callable[[Batch, np.ndarray], Batch]
  gather_folds: Callable[[Batch, np.ndarray], Batch]
  mesh: Mesh
  steps_per_dispatch: int

  def take(self, numbers: np.ndarray) -> Batch:
    """The clips `numbers` (B,), split over all devices."""
    return self.gather(self.arrays, numbers)

  def stream(self, draw: Draw, start: int, stop: int) -> Iterator[Any]:
    """What `join` needs of one fold, for its steps from `start` to `stop`."""
    return map(draw, range(start, stop))

  def join(self, drawn: Sequence[Sequence[Any]]) -> Batches:
    """One dispatch of what each fold's stream gave, a list of steps for each fold.

    A fold whose list is short, or empty, sits the rest of `steps_per_dispatch` out, so
    that every dispatch has the shape that was compiled.
    """
    numbers, weights = next(steps[0] for steps in drawn if steps)
    idle = (np.zeros_like(numbers), np.zeros_like(weights))
    filled = [
      [*steps, *[idle] * (self.steps_per_dispatch - len(steps))] for steps in drawn
    ]
    numbers, weights = (np.array([[s[i] for s in f] for f in filled]) for i in (0, 1))
    split = over_folds_and_batch(self.mesh)
    weights = jax.make_array_from_callback(weights.shape, split, weights.__getitem__)
    if self.steps_per_dispatch == 1:
      clips = self.gather_folds(self.arrays, numbers)
      return Batches({}, clips | {"weights": weights})
    numbers = jax.make_array_from_callback(numbers.shape, split, numbers.__getitem__)
    return Batches(self.arrays, {"numbers": numbers, "weights": weights})


@dataclass(frozen=True)
class Streamed:
  """All clips (N, ...) in host memory; Grain's threads read what comes next.

  The same methods as `Resident`. A dispatch is one step: several would have to lie on
  the device at once, and reading them takes longer than sending them off. A process
  reads only the rows that its own devices need. A stream can be read from any step on,
  so that the step in the train state is all that a checkpoint holds of it.
  """

  arrays: dict[str, np.ndarray]
  batch_size: int
  mesh: Mesh
  steps_per_dispatch: ClassVar[int] = 1

  def take(self, numbers: np.ndarray) -> Batch:
    return put_batch({name: a[numbers] for name, a in self.arrays.items()}, self.mesh)

  def stream(self, draw: Draw, start: int, stop: int) -> Iterator[Any]:
    rows = self._own_rows()

    def read(step: int) -> Batch:
      numbers, weights = draw(step)
      batch = {name: array[numbers[rows]] for name, array in self.arrays.items()}
      return batch | {"weights": weights[rows]}

    threads = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)
    return iter(grain.MapDataset.range(start, stop).map(read).to_iter_dataset(threads))

  def join(self, drawn: Sequence[Sequence[Any]]) -> Batches:
    read = next(steps[0] for steps in drawn if steps)
    shape = (len(drawn), 1, self.batch_size)
    own_folds, *_ = _own_part(self._split, shape)
    steps = {}
    for name, rows in read.items():
      idle = np.zeros_like(rows)
      parts = [[f[0][name] if f else idle] for f in drawn[own_folds]]
      steps[name] = jax.make_array_from_process_local_data(
        self._split, np.array(parts), (*shape, *rows.shape[1:])
      )
    return Batches({}, steps)

  @property
  def _split(self) -> NamedSharding:
    return over_folds_and_batch(self.mesh)

  def _own_rows(self) -> slice:
    """The part of a fold's batch that lies on this process's devices."""
    shape = (self.mesh.shape["fold"], 1, self.batch_size)
    *_, rows = _own_part(self._split, shape)
    return rows


def _own_part(split: NamedSharding, shape: tuple[int, ...]) -> tuple[slice, ...]:
  """What of an array of `shape` lies on this process's devices: one slice an axis."""
  parts = [
    [axis.indices(size)[:2] for axis, size in zip(index, shape, strict=True)]
    for index in split.addressable_devices_indices_map(shape).values()
  ]
  return tuple(
    slice(min(first for first, _ in axis), max(last for _, last in axis))
    for axis in zip(*parts, strict=True)
  )


Inputs = Resident | Streamed


def make_inputs(
  arrays: dict[str, np.ndarray], batch_size: int, mesh: Mesh, steps_per_dispatch: int
) -> Inputs:
  """Puts `arrays` (each (N, ...)) on the devices, where they fit."""
  size = sum(array.nbytes for array in arrays.values())
  if not fits_device(size):
    return Streamed(arrays, batch_size, mesh)
  whole = replicated(mesh)

  def gather(arrays: Batch, numbers: jax.Array) -> Batch:
    return {name: array[numbers] for name, array in arrays.items()}

  one, several = (
    jax.jit(gather, in_shardings=(whole, whole), out_shardings=split)
    for split in (over_batch(mesh), over_folds_and_batch(mesh))
  )
  arrays = jax.device_put(arrays, whole)
  return Resident(arrays, one, several, mesh, steps_per_dispatch)


def magnifier_arrays(
  clips: Clips,
  magnify: Callable[[Batch], jax.Array],
  mesh: Mesh,
  *,
  batch_size: int,
  frozen_magnifier: bool,
) -> dict[str, np.ndarray]:
  """What the magnified branch sees of each clip.

  With a frozen magnifier these are its latents (or what else `magnify` makes of a
  batch of frames), computed here once instead of once per epoch; with a trained one,
  or where they take more than half of the device's memory, the frames themselves.
  """
  frames = {name: getattr(clips, name) for name in FRAMES}
  shape = (batch_size, *clips.onset.shape[1:])
  like = dict.fromkeys(FRAMES, jax.ShapeDtypeStruct(shape, np.uint8))
  magnified = jax.eval_shape(magnify, like)
  magnified_bytes = len(clips) * magnified.size // batch_size * magnified.dtype.itemsize
  if not frozen_magnifier or not fits_device(magnified_bytes + clips.flow.nbytes):
    _log.info(
      "motion is magnified anew in every step: %s",
      "what comes of all clips does not fit the device's memory"
      if frozen_magnifier
      else "the magnifier is trained along",
    )
    return frames
  parts = []
  batches = list(sequential_batches(np.arange(len(clips)), batch_size))
  for numbers, count in tqdm(batches, desc="magnifying", unit="batch", delay=3):
    batch = {name: array[numbers] for name, array in frames.items()}
    parts.append(np.asarray(magnify(put_batch(batch, mesh)))[:count])
  _log.info("magnified the motion in all %d clips, once for all epochs", len(clips))
  return {"latents": np.concatenate(parts)}


def put_batch(arrays: dict[str, np.ndarray], mesh: Mesh) -> Batch:
  """Splits host arrays (B, ...) over the devices."""
  split = over_batch(mesh)
  return {
    name: jax.make_array_from_callback(array.shape, split, array.__getitem__)
    for name, array in arrays.items()
  }


def input_arrays(
  config: ConfigDict, network: Network, state: TrainState, clips: Clips
) -> dict[str, np.ndarray]:
  """What the model sees of each clip, with a frozen magnifier's part computed once."""
  arrays = {"flow": clips.flow, "labels": clips.labels}
  if sees_frames(config):
    arrays |= magnifier_arrays(
      clips,
      lambda frames: network.magnify(state.weights, frames),
      network.mesh,
      batch_size=even_batch(config.train.batch_size, network.mesh),
      frozen_magnifier=not config.train.magnifier,
    )
  return arrays
