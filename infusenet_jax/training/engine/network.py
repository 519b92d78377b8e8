"""From a config to a model and the compiled steps that all folds and seeds share."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.schema import FRAMES
from infusenet_jax.models import weights
from infusenet_jax.models.baselines import BASELINES
from infusenet_jax.models.branches import BRANCHES
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.models.infusenet import InfuseNet
from infusenet_jax.runtime.devices import over_folds_and_batch
from infusenet_jax.training.engine import optim, steps
from infusenet_jax.training.engine.config import (
  FIXED_SIZE,
  FLOW_ONLY,
  compute_dtype,
  magnified_input,
  sees_frames,
)
from infusenet_jax.training.engine.steps import Batch, TrainState, Weights


@dataclass(frozen=True)
class Network:
  """Structure, optimiser and compiled steps; the state is kept apart from it.

  Attributes:
    graph: structure of the `Classifier`.
    head_names: of its heads.
    optimizer, mesh: what its steps were built with.
    draw: (key) -> weights drawn at random.
    train_step: (states, batches) -> states, of all folds side by side.
    stack: access to the states of one fold among those side by side.
    magnify: (weights, frames) -> what a frozen magnifier contributes.
    rotate: (weights) -> the infusions' rotations.
    eval_step: (weights, rotations, batch) -> logits (heads, B, 12).
  """

  graph: nnx.GraphDef
  head_names: tuple[str, ...]
  optimizer: optax.GradientTransformation
  mesh: Mesh
  draw: Callable[[jax.Array], Weights]
  train_step: Callable[[TrainState, Batch], TrainState]
  stack: steps.Stack
  magnify: Callable[[Weights, Batch], jax.Array]
  rotate: Callable[[Weights], Any]
  eval_step: Callable[[Weights, Any, Batch], jax.Array]


def build_network(config: ConfigDict, mesh: Mesh) -> Network:
  """The structure of `config`'s model and its steps, compiled on first use."""
  train_magnifier = config.train.magnifier
  model = nnx.eval_shape(lambda: _create_model(config, nnx.Rngs(0)))
  graph, *_ = steps.split_model(model, train_magnifier)
  optimizer = optim.make_optimizer(config.train.learning_rate, config.train.l2)
  return Network(
    graph=graph,
    head_names=model.head_names,
    optimizer=optimizer,
    mesh=mesh,
    # Compiled, since hundreds of small draws one by one take far longer.
    draw=jax.jit(
      lambda key: steps.split_model(
        _create_model(config, nnx.Rngs(key)), train_magnifier
      )[1:]
    ),
    train_step=steps.make_train_step(
      graph,
      optimizer,
      mesh,
      steps.heads_bce,
      mirror=config.train.mirror,
      cosine_epochs=config.train.epochs if config.train.schedule == "cosine" else None,
    ),
    stack=steps.make_stack(mesh),
    magnify=steps.make_magnify(graph, mesh),
    rotate=steps.make_rotate(graph, mesh),
    eval_step=steps.make_eval_step(graph, mesh),
  )


def initial_state(config: ConfigDict, network: Network, seed: int) -> TrainState:
  """The state before the first step: drawn from `seed`, or read from weights files.

  Raises:
    UserError: a weights file that is missing or does not fit.
  """
  fields = config.model
  model = nnx.merge(network.graph, *network.draw(jax.random.key(seed)))
  if fields.weights:
    weights.load_infusenet(model, fields.weights)
  else:
    if fields.resnet_weights:
      weights.load_resnet(model, fields.resnet_weights)
    if sees_frames(config) and fields.magnifier_weights:
      weights.load_magnifier(model.magnifier, fields.magnifier_weights)
  _, *drawn = steps.split_model(model, config.train.magnifier)
  return steps.new_state(tuple(drawn), network.optimizer, network.mesh)


def decide(heads: Sequence[Any], names: Sequence[str], by: str) -> Any:
  """The logits that decide: those of the head `by`, else the mean of all heads.

  A network decides by all that it has where it has no head of that name: "both", or a
  network with a single head.

  Args:
    heads: logits, one array for each of `names`.
    names: of the heads.
    by: `config.decide_by`.
  """
  return heads[names.index(by)] if by in names else sum(heads) / len(heads)


def seconds_per_step(config: ConfigDict, network: Network) -> float:
  """Compiles the train step and times it, on weights and a batch of zeros."""
  shapes = (jax.eval_shape(network.draw, jax.random.key(0)), batch_shapes(config))
  weights, batch = jax.tree.map(_zeros, shapes)
  state = steps.new_state(weights, network.optimizer, network.mesh)
  states = network.stack.fill(state)
  split = over_folds_and_batch(network.mesh)
  folds = network.mesh.shape["fold"]
  batch = {
    name: jax.make_array_from_callback(
      (folds, *part.shape), split, lambda index, part=part: part[None][0:1, index[1]]
    )
    for name, part in batch.items()
  }
  states = jax.block_until_ready(network.train_step(states, batch))
  start = time.monotonic()
  jax.block_until_ready(network.train_step(states, batch))
  return time.monotonic() - start


def _zeros(like: jax.ShapeDtypeStruct) -> np.ndarray | jax.Array:
  if jnp.issubdtype(like.dtype, jax.dtypes.prng_key):  # A baseline's dropout.
    return jax.random.key(0)
  return np.zeros(like.shape, like.dtype)


def batch_shapes(config: ConfigDict) -> dict[str, jax.ShapeDtypeStruct]:
  """What one batch of the train step holds, with cached latents where they can be."""
  count, size = config.train.batch_size, config.image_size
  shapes = {
    "flow": ((size, size, 3), jnp.float16),
    "labels": ((len(AUS),), jnp.uint8),
    "weights": ((), jnp.float32),
  }
  seen = magnified_input(config)
  if seen and config.train.magnifier:
    shapes |= dict.fromkeys(FRAMES, ((size, size, 3), jnp.uint8))
  elif seen:
    shapes["latents"] = (seen.shape(size), compute_dtype(config.dtype))
  return {
    name: jax.ShapeDtypeStruct((count, *shape), dtype)
    for name, (shape, dtype) in shapes.items()
  }


def _create_model(config: ConfigDict, rngs: nnx.Rngs) -> Classifier:
  fields, name = config.model, config.model.name
  if name == "off_apexnet":
    return BASELINES[name](len(AUS), streams=fields.streams, rngs=rngs)
  if name in FIXED_SIZE:
    return BASELINES[name](len(AUS), rngs=rngs)
  how = {"width": fields.width, "dtype": compute_dtype(config.dtype), "rngs": rngs}
  if name in FLOW_ONLY:
    return (BASELINES | BRANCHES)[name](len(AUS), **how)
  how |= {key: fields[key] for key in ("magnified", "window_apex", "amp")}
  if name in BRANCHES:
    return BRANCHES[name](len(AUS), **how)
  how |= {key: fields[key] for key in ("infusion", "gate", "infused")}
  return InfuseNet(len(AUS), **how)
