"""Measures the compiled steps of a config, one by one, on a batch of noise."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.benchmark.roofline import (
  Ceilings,
  Measurement,
  compile_step,
  measure,
)
from infusenet_jax.clips.schema import frames_held
from infusenet_jax.runtime.devices import device_mesh, even_batch
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine.config import sees_frames, sees_offset
from infusenet_jax.training.engine.inputs import make_inputs, put_batch
from infusenet_jax.training.engine.network import (
  Network,
  batch_shapes,
  build_network,
  initial_state,
)


@dataclass(frozen=True)
class Steps:
  """The measurements of a network's steps.

  Attributes:
    network: whose steps were measured.
    train: of an update of as many folds as the mesh trains side by side.
    eval: of the logits of a batch, with the infusions' rotations computed before.
    magnify: of a frozen magnifier's latents of a batch, which a run computes once per
      clip; None for networks without a frozen magnifier.
    train_once: runs one train step.
  """

  network: Network
  train: Measurement
  eval: Measurement
  magnify: Measurement | None
  train_once: Callable[[], Any]

  @property
  def folds(self) -> int:
    """How many folds are trained side by side."""
    return self.network.mesh.shape["fold"]

  def clips(self, batch_size: int) -> dict[str, tuple[Measurement, int]]:
    """Returns by a step's name its measurement and how many clips one call takes."""
    even = even_batch(batch_size, self.network.mesh)
    found = {"train": (self.train, self.folds * batch_size), "eval": (self.eval, even)}
    return found | ({"magnify": (self.magnify, even)} if self.magnify else {})


def measure_steps(config: ConfigDict, ceilings: Ceilings, repeats: int) -> Steps:
  """Compiles and times the steps of `config`.

  Raises:
    DoesNotFit: a step needs more memory than there is.
  """
  batch_size = config.train.batch_size
  mesh = device_mesh(batch_size, config.mesh.fold, config.mesh.data)
  network = build_network(config, mesh)
  state = initial_state(config, network, config.seeds[0])
  even = even_batch(batch_size, mesh)
  # One step a dispatch, so that a single step is counted and timed.
  inputs = make_inputs(noise(config, even), batch_size, mesh, steps_per_dispatch=1)

  def draw(_: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(batch_size), np.ones(batch_size, np.float32)

  told = network.objective.stand_in(even)
  drawn = [list(inputs.stream(draw, 0, 1, told)) for _ in range(mesh.shape["fold"])]
  batches = inputs.join(drawn)
  states = network.stack.fill(state)
  step, seconds = compile_step(network.train_steps, (states, batches))

  def train_once() -> Any:
    nonlocal states
    states, _ = step(states, batches)
    return states

  train = measure(step, seconds, train_once, ceilings, repeats)
  rotations = network.rotate(state.weights)
  arguments = (state.weights, rotations, inputs.take(np.arange(even)))
  evaluate = _measured(network.eval_step, arguments, ceilings, repeats)
  magnify = None
  if sees_frames(config) and not config.train.magnifier:
    frames = put_batch(noise_frames(config, even), mesh)
    magnify = _measured(network.magnify, (state.weights, frames), ceilings, repeats)
  return Steps(network, train, evaluate, magnify, train_once)


def _measured(step, arguments: tuple, ceilings, repeats: int) -> Measurement:
  compiled, seconds = compile_step(step, arguments)
  return measure(compiled, seconds, lambda: compiled(*arguments), ceilings, repeats)


def noise(config: ConfigDict, count: int) -> dict[str, np.ndarray]:
  """Makes what the network sees of `count` clips of noise, by the names in a batch."""
  rng = np.random.default_rng(0)
  arrays = {}
  for name, like in batch_shapes(config).items():
    shape = (count, *like.shape[1:])
    if name == "weights":
      continue
    if jnp.issubdtype(like.dtype, jnp.integer):
      top = 2 if name == "labels" else 256
      arrays[name] = rng.integers(0, top, shape, like.dtype)
    else:
      arrays[name] = rng.random(shape, np.float32).astype(like.dtype)
  return arrays


def noise_frames(config: ConfigDict, count: int) -> dict[str, np.ndarray]:
  """Makes frames of noise by name, (count, H, W, 3) uint8 each."""
  size, rng = config.image_size, np.random.default_rng(0)
  return {
    name: rng.integers(0, 256, (count, size, size, 3), np.uint8)
    for name in frames_held(sees_offset(config))
  }


def profile(steps: Steps, folder: str) -> None:
  """Writes a trace of three train steps.

  Raises:
    UserError: `folder` cannot be written.
  """
  try:
    Path(folder).mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(
      f"--profile={folder}: cannot be written ({error.strerror}); name another"
    ) from error
  with jax.profiler.trace(folder):
    for _ in range(3):
      jax.block_until_ready(steps.train_once())
