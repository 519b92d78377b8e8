"""The inputs of training and testing: clips on the devices or streamed to them.

With a frozen magnifier its latents do not change and are computed once for all.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from ml_collections import ConfigDict
from tqdm import tqdm

from infusenet_jax.clips.records import Clips
from infusenet_jax.clips.schema import FRAMES, frames_held
from infusenet_jax.runtime.devices import (
  even_batch,
  fits_device,
  over_batch,
  over_folds_and_batch,
  replicated,
)
from infusenet_jax.training.engine.config import magnified_input
from infusenet_jax.training.engine.network import Network
from infusenet_jax.training.engine.schedule import sequential_batches
from infusenet_jax.training.engine.steps import Batch, Batches, TrainState

_log = logging.getLogger(__name__)


# From a step of a fold to the numbers (B,) of its clips and their weights (B,); see
# `Schedule.batch`.
Draw = Callable[[int], tuple[np.ndarray, np.ndarray]]
# What the loss is told of each clip, and differs between folds: host arrays (N, ...) by
# name; see `losses.Objective`. They are small beside clips, and sent with each step.
Told = Mapping[str, np.ndarray]
NOTHING: Told = MappingProxyType({})


@dataclass(frozen=True)
class Resident:
  """All clips (N, ...) on every device; a batch is given by the numbers of its clips.

  A dispatch of several steps looks up its clips in the compiled program. For a dispatch
  of one step they are looked up before, so that the program does not depend on N.
  """

  arrays: Batch
  gather: Callable[[Batch, np.ndarray], Batch]
  gather_folds: Callable[[Batch, np.ndarray], Batch]
  mesh: Mesh
  steps_per_dispatch: int

  def take(self, numbers: np.ndarray) -> Batch:
    """Returns the clips `numbers` (B,) as a batch, split over all devices."""
    return self.gather(self.arrays, numbers)

  def stream(
    self, draw: Draw, start: int, stop: int, told: Told = NOTHING
  ) -> Iterator[Any]:
    """Yields for each step of one fold, from `start` to `stop`, an item for `join`."""

    def read(step: int) -> dict[str, np.ndarray]:
      numbers, weights = draw(step)
      return {"numbers": numbers, "weights": weights} | _rows(told, numbers)

    return map(read, range(start, stop))

  def join(self, drawn: Sequence[Sequence[Any]]) -> Batches:
    """Joins items of `stream` into one dispatch.

    Args:
      drawn: for each fold the items of its next steps, at most `steps_per_dispatch`. A
        fold with fewer makes no updates in the rest, so that every dispatch has the
        shape that was compiled. One fold at least has an item.
    """
    first = next(steps[0] for steps in drawn if steps)
    idle = first | {"weights": np.zeros_like(first["weights"])}
    filled = [
      [*steps, *[idle] * (self.steps_per_dispatch - len(steps))] for steps in drawn
    ]
    given = {name: np.array([[s[name] for s in f] for f in filled]) for name in first}
    clips, looked_up, split = self.arrays, {}, over_folds_and_batch(self.mesh)
    if self.steps_per_dispatch == 1:
      clips, looked_up = {}, self.gather_folds(clips, given.pop("numbers"))
    sent = {
      name: jax.make_array_from_callback(x.shape, split, x.__getitem__)
      for name, x in given.items()
    }
    return Batches(clips, looked_up | sent)


@dataclass(frozen=True)
class Streamed:
  """All clips (N, ...) in host memory; threads of Grain gather the next batches.

  It has the methods of `Resident`. A dispatch is always one step: the clips of several
  would have to be on the device at once, and gathering them takes longer than a
  dispatch. Each process gathers only the rows that its own devices need. A stream can
  be begun at any step, so that a checkpoint need not hold more of it than the step.
  """

  arrays: dict[str, np.ndarray]
  batch_size: int
  mesh: Mesh
  steps_per_dispatch: ClassVar[int] = 1

  def take(self, numbers: np.ndarray) -> Batch:
    return put_batch(_rows(self.arrays, numbers), self.mesh)

  def stream(
    self, draw: Draw, start: int, stop: int, told: Told = NOTHING
  ) -> Iterator[Any]:
    import grain  # Slow to import, and clips on the device need it not.

    rows = self._own_rows()

    def read(step: int) -> Batch:
      numbers, weights = draw(step)
      own = numbers[rows]
      return _rows(self.arrays, own) | {"weights": weights[rows]} | _rows(told, own)

    threads = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)
    return iter(grain.MapDataset.range(start, stop).map(read).to_iter_dataset(threads))

  def join(self, drawn: Sequence[Sequence[Any]]) -> Batches:
    read = next(steps[0] for steps in drawn if steps)
    shape = (len(drawn), 1, self.batch_size)
    own_folds, *_ = _own_part(self._split, shape)
    steps = {}
    for name, rows in read.items():
      idle = np.zeros_like(rows) if name == "weights" else rows
      parts = [[f[0][name] if f else idle] for f in drawn[own_folds]]
      steps[name] = jax.make_array_from_process_local_data(
        self._split, np.array(parts), (*shape, *rows.shape[1:])
      )
    return Batches({}, steps)

  @property
  def _split(self) -> NamedSharding:
    return over_folds_and_batch(self.mesh)

  def _own_rows(self) -> slice:
    """Returns which rows of a fold's batch lie on this process's devices."""
    shape = (self.mesh.shape["fold"], 1, self.batch_size)
    *_, rows = _own_part(self._split, shape)
    return rows


def _own_part(split: NamedSharding, shape: tuple[int, ...]) -> tuple[slice, ...]:
  """Returns the part of an array on this process's devices, as one slice per axis."""
  parts = [
    [axis.indices(size)[:2] for axis, size in zip(index, shape, strict=True)]
    for index in split.addressable_devices_indices_map(shape).values()
  ]
  return tuple(
    slice(min(first for first, _ in axis), max(last for _, last in axis))
    for axis in zip(*parts, strict=True)
  )


def _rows(arrays: Mapping[str, np.ndarray], numbers: np.ndarray) -> dict[str, Any]:
  return {name: array[numbers] for name, array in arrays.items()}


Inputs = Resident | Streamed


def make_inputs(
  arrays: dict[str, np.ndarray], batch_size: int, mesh: Mesh, steps_per_dispatch: int
) -> Inputs:
  """Puts arrays (N, ...) on the devices if they fit, or leaves them in host memory."""
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
  names: Sequence[str] = FRAMES,
) -> dict[str, np.ndarray]:
  """Makes what the magnified branch sees of each clip.

  With a frozen magnifier that is "latents": what `magnify` makes of a batch of frames,
  computed here once instead of in every epoch. If the magnifier is trained, or if the
  latents would take more than half of a device's memory, it is the frames, by name.

  Args:
    clips: all of a run.
    magnify: (frames by name) -> what the network sees of them.
    mesh: of the devices.
    batch_size: of `magnify`.
    frozen_magnifier: whether it is not trained.
    names: of the frames that are seen.

  Raises:
    UserError: the clips lack one of the frames.
  """
  frames = clips.frames(names)
  shape = (batch_size, *clips.onset.shape[1:])
  like = dict.fromkeys(names, jax.ShapeDtypeStruct(shape, np.uint8))
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
  """Makes what the network sees of each clip: flow, labels, and latents or frames."""
  arrays = {"flow": clips.flow, "labels": clips.labels}
  if seen := magnified_input(config):
    arrays |= magnifier_arrays(
      clips,
      lambda frames: network.magnify(state.weights, frames),
      network.mesh,
      batch_size=even_batch(config.train.batch_size, network.mesh),
      frozen_magnifier=not config.train.magnifier,
      names=frames_held(seen.sees_offset),
    )
  return arrays
