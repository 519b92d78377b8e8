"""What the network is fed: clips on the device, everything constant computed once."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from tqdm import tqdm

from infusenet_jax.data import FRAMES, Clips, sequential_batches
from infusenet_jax.engine import Batch, make_latent_step
from infusenet_jax.parallel import fits_device, over_batch, replicated, to_host

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
  """The arrays of all clips, on the devices or in host memory, and batches of them.

  `take(numbers (B,))` returns a batch without weights, split over the devices.
  """

  arrays: dict[str, jax.Array | np.ndarray]
  take: Callable[[np.ndarray], Batch]


def make_inputs(arrays: dict[str, np.ndarray], mesh: Mesh) -> Inputs:
  """Puts `arrays` (each (N, ...)) on the devices, where they fit."""
  size = sum(array.nbytes for array in arrays.values())
  whole, split = replicated(mesh), over_batch(mesh)
  if not fits_device(size):
    _log.info("clips stay in host memory: %.1f GB do not fit the device", size / 1e9)
    return Inputs(arrays, lambda numbers: _from_host(arrays, numbers, split))
  _log.info("clips on the device: %.2f GB", size / 1e9)
  arrays = jax.device_put(arrays, whole)
  take = jax.jit(
    lambda arrays, numbers: {name: array[numbers] for name, array in arrays.items()},
    in_shardings=(whole, whole),
    out_shardings=split,
  )
  return Inputs(arrays, lambda numbers: take(arrays, numbers))


def clip_arrays(
  clips: Clips,
  weights: tuple[nnx.State, nnx.State, nnx.State],
  graph: nnx.GraphDef,
  mesh: Mesh,
  *,
  batch_size: int,
  frozen_magnifier: bool,
) -> dict[str, np.ndarray]:
  """The arrays that a step needs of each clip.

  With a frozen magnifier these are its latents, computed here once instead of once
  per epoch; with a trained one, or where the latents take more than half of the
  device's memory, the frames themselves.
  """
  arrays = {"flow": clips.flow, "labels": clips.labels}
  frames = {name: getattr(clips, name) for name in FRAMES}
  latents_bytes = len(clips) * (clips.onset.shape[1] // 4) ** 2 * 64 * 4
  if not frozen_magnifier or not fits_device(latents_bytes + clips.flow.nbytes):
    _log.info("magnified latents are computed in every step")
    return arrays | frames
  step = make_latent_step(graph, mesh)
  split = over_batch(mesh)
  parts = []
  batches = list(sequential_batches(np.arange(len(clips)), batch_size))
  for numbers, count in tqdm(batches, desc="magnifying", unit="batch", delay=3):
    latents = step(*weights, _from_host(frames, numbers, split))
    parts.append(to_host(latents)[:count])
  _log.info("magnified latents of %d clips computed once", len(clips))
  return arrays | {"latents": np.concatenate(parts)}


def _from_host(arrays: dict[str, np.ndarray], numbers: np.ndarray, split) -> Batch:
  def part_of(array):
    shape = (len(numbers), *array.shape[1:])
    return jax.make_array_from_callback(shape, split, lambda i: array[numbers[i[0]]])

  return {name: part_of(array) for name, array in arrays.items()}
