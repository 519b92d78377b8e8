"""What the network is fed: clips on the device, everything constant computed once."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from infusenet_jax.data import FRAMES, Clips, sequential_batches
from infusenet_jax.engine import Batch
from infusenet_jax.parallel import fits_device, over_batch, replicated

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
  """All clips, on the devices or in host memory: `take(numbers (B,))` is a batch.

  Batches are split over the devices of `mesh`.
  """

  take: Callable[[np.ndarray], Batch]
  mesh: Mesh

  def weighted(self, numbers: np.ndarray, weights: np.ndarray) -> Batch:
    """A batch for training, with the clips' `weights` (B,)."""
    return self.take(numbers) | put_batch({"weights": weights}, self.mesh)


def make_inputs(arrays: dict[str, np.ndarray], mesh: Mesh) -> Inputs:
  """Puts `arrays` (each (N, ...)) on the devices, where they fit."""
  size = sum(array.nbytes for array in arrays.values())
  whole, split = replicated(mesh), over_batch(mesh)
  if not fits_device(size):
    _log.info("clips stay in host memory: %.1f GB do not fit the device", size / 1e9)

    def read(numbers: np.ndarray) -> Batch:
      return put_batch({name: a[numbers] for name, a in arrays.items()}, mesh)

    return Inputs(read, mesh)
  _log.info("clips on the device: %.2f GB", size / 1e9)
  arrays = jax.device_put(arrays, whole)
  take = jax.jit(
    lambda arrays, numbers: {name: array[numbers] for name, array in arrays.items()},
    in_shardings=(whole, whole),
    out_shardings=split,
  )
  return Inputs(lambda numbers: take(arrays, numbers), mesh)


def magnifier_arrays(
  clips: Clips,
  magnify: Callable[[Batch], jax.Array],
  mesh: Mesh,
  *,
  batch_size: int,
  frozen_magnifier: bool,
) -> dict[str, np.ndarray]:
  """What the magnified branch sees of each clip.

  With a frozen magnifier these are its latents, computed here once instead of once
  per epoch; with a trained one, or where the latents take more than half of the
  device's memory, the frames themselves. `magnify` computes the latents of a batch
  of frames.
  """
  frames = {name: getattr(clips, name) for name in FRAMES}
  latents_bytes = len(clips) * (clips.onset.shape[1] // 4) ** 2 * 64 * 4
  if not frozen_magnifier or not fits_device(latents_bytes + clips.flow.nbytes):
    _log.info("magnified latents are computed in every step")
    return frames
  parts = []
  batches = list(sequential_batches(np.arange(len(clips)), batch_size))
  for numbers, count in tqdm(batches, desc="magnifying", unit="batch", delay=3):
    batch = {name: array[numbers] for name, array in frames.items()}
    parts.append(np.asarray(magnify(put_batch(batch, mesh)))[:count])
  _log.info("magnified latents of %d clips computed once", len(clips))
  return {"latents": np.concatenate(parts)}


def put_batch(arrays: dict[str, np.ndarray], mesh: Mesh) -> Batch:
  """Splits host arrays (B, ...) over the devices."""
  split = over_batch(mesh)
  return {
    name: jax.make_array_from_callback(array.shape, split, array.__getitem__)
    for name, array in arrays.items()
  }
