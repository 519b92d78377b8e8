"""How exact: beside the published numbers, in bfloat16, with faster rotations."""

import importlib
from collections.abc import Sequence
from itertools import islice
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from ml_collections import ConfigDict

from infusenet_jax.benchmark.accelerator.sizes import Sizes, learnable_clips
from infusenet_jax.benchmark.roofline import time_calls
from infusenet_jax.benchmark.steps import noise
from infusenet_jax.clips.records import Clips
from infusenet_jax.models import infusion, weights
from infusenet_jax.models.infusenet import InfuseNet
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine.experiment import make_experiment
from infusenet_jax.training.engine.network import build_network, initial_state
from infusenet_jax.training.engine.schedule import epoch_batches

# Ways to multiply the infusions' float32 matrices, exactest first.
PRECISIONS = {
  "HIGHEST": lax.Precision.HIGHEST,
  "3 x bfloat16": lax.DotAlgorithmPreset.BF16_BF16_F32_X3,
  "3 x TF32": lax.DotAlgorithmPreset.TF32_TF32_F32_X3,
  "TF32": lax.DotAlgorithmPreset.TF32_TF32_F32,
}
NORMS = (0.0, 1.0, 30.0)  # Of the matrices whose Cayley transform is computed.


def parity(sizes: Sizes) -> dict[str, Any]:
  """The published network's numbers in float32, and bfloat16 beside float32."""
  batch_size = sizes.batches[0]
  logits = {
    dtype: first_logits(sizes.config(dtype, batch_size))
    for dtype in ("float32", "bfloat16")
  }
  exact = logits["float32"]
  clips = learnable_clips(sizes.config(), 20 * batch_size)
  return {
    "published": [published_error(name) for name in _authors().ORACLES],
    "bfloat16": {
      "largest_logit": float(np.abs(exact).max()),
      "largest_difference": float(np.abs(logits["bfloat16"] - exact).max()),
    },
    "losses": {
      dtype: losses(sizes.config(dtype, batch_size), clips, sizes.losses)
      for dtype in logits
    },
  }


def precision(sizes: Sizes) -> dict[str, Any]:
  """|Q^T Q - I|, time and loss by the way in which the infusions' products are made.

  A way that the device does not have is said to be missing, in XLA's words.
  """
  config = sizes.config()
  clips = learnable_clips(config, 20 * config.train.batch_size)
  found = {}
  for name, way in PRECISIONS.items():
    with mock.patch.object(infusion, "_product", _product_by(way)):
      try:
        found[name] = {
          "rotations": [
            rotation_error(channels, norm, sizes.repeats)
            for channels in sizes.channels
            for norm in NORMS
          ],
          "losses": losses(config, clips, sizes.losses),
        }
      except (jax.errors.JaxRuntimeError, NotImplementedError, ValueError) as error:
        found[name] = {"missing": str(error).splitlines()[0][:200]}
  return found


def _product_by(way: Any):
  def product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=way)

  return product


def rotation_error(channels: int, norm: float, repeats: int) -> dict[str, float]:
  """How far Q of a random A with ||A|| = `norm` is from orthogonal, and its time."""
  rng = np.random.default_rng(channels)
  a = rng.standard_normal((channels, channels))
  a = a - a.T
  a = jnp.asarray(norm * a / np.linalg.norm(a, 2), jnp.float32)
  rotate = jax.jit(lambda a: infusion.cayley(a))
  q = np.asarray(rotate(a), np.float64)
  return {
    "channels": channels,
    "norm": norm,
    "error": float(np.abs(q.T @ q - np.eye(channels)).max()),
    "seconds": time_calls(lambda: rotate(a), repeats).median,
  }


def first_logits(config: ConfigDict) -> np.ndarray:
  """Logits (heads, B, 12) of a batch of noise by the network that seed 45 draws."""
  batch_size = config.train.batch_size
  network = build_network(config, device_mesh(batch_size, **config.mesh))
  state = initial_state(config, network, 45)
  batch = {k: v for k, v in noise(config, batch_size).items() if k != "labels"}
  if "latents" in batch:  # As a network sees them: of the size that a magnifier gives.
    batch["latents"] = (batch["latents"].astype(np.float32) - 0.5).astype(
      batch["latents"].dtype
    )
  rotations = network.rotate(state.weights)
  return np.asarray(network.eval_step(state.weights, rotations, batch), np.float64)


def losses(config: ConfigDict, clips: Clips, steps: int) -> list[float]:
  """The loss of every update, so many of them, on clips in one order."""
  batch_size = config.train.batch_size
  network = build_network(config, device_mesh(batch_size, **config.mesh))
  experiment = make_experiment(config, network, clips)
  inputs = experiment.inputs
  states = network.stack.fill(experiment.initial_state(45))
  batches = [
    batch
    for epoch in range(-(-steps * batch_size // len(clips)))
    for batch in epoch_batches(np.arange(len(clips)), batch_size, [epoch])
  ][:steps]
  folds, told = network.mesh.shape["fold"], network.objective.stand_in(len(clips))
  streams = [
    iter(inputs.stream(batches.__getitem__, 0, steps, told)) for _ in range(folds)
  ]
  found: list[float] = []
  for _ in range(0, steps, inputs.steps_per_dispatch):
    drawn = [list(islice(stream, inputs.steps_per_dispatch)) for stream in streams]
    states, sums = network.train_steps(states, inputs.join(drawn))
    # An epoch of this state is one step, so that a sum is one update's loss.
    found += np.asarray(sums, float)[0, : len(drawn[0])].tolist()
  return found


def published_error(name: str) -> dict[str, Any]:
  """Relative errors of features and logits beside those of the authors' network."""
  authors = _authors()
  with np.load(authors.DATA / name) as arrays:
    oracle = dict(arrays)
  seed, size, batch = (int(oracle[key]) for key in ("seed", "size", "batch"))
  model = InfuseNet(12, infusion="published", gate="batch", rngs=nnx.Rngs(0))
  shapes = {key: array.shape for key, array in weights.to_torch(model).items()}
  weights.from_torch(model, authors.procedural_state(shapes, seed))
  inputs, _ = authors.procedural_inputs(seed, size, batch)
  model.eval()
  with jax.default_matmul_precision("highest"):
    outputs = nnx.jit(_features_and_logits)(
      model, *(jnp.asarray(x, jnp.float32) for x in inputs)
    )
  names = (
    *("flow_features", "magnified_features"),
    *("flow_logits", "magnified_logits"),
  )
  return {"oracle": name, "pixels": size} | {
    key: authors.relative_error(found, oracle[f"eval_{key}"])
    for key, found in zip(names, outputs, strict=True)
  }


def _features_and_logits(model, flow, onset, apex, window_apex) -> Sequence[jax.Array]:
  latents = model.magnified_latents(onset, apex, window_apex)
  features = model.pooled_features(flow, latents)
  return *features, *map(model.head, features)


def _authors():
  try:
    return importlib.import_module("tests.models.authors")
  except ImportError as error:
    raise UserError(
      f"the published network's numbers cannot be read ({error}); run this from the"
      " top folder of the repository"
    ) from error
