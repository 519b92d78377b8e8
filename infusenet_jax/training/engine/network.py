"""Makes a config's model, and the compiled steps that all folds and seeds share."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.schema import frames_held
from infusenet_jax.models import weights
from infusenet_jax.models.baselines import BASELINES
from infusenet_jax.models.branches import BRANCHES
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.models.infusenet import InfuseNet
from infusenet_jax.runtime.devices import on_cpu
from infusenet_jax.training.engine import optim, steps
from infusenet_jax.training.engine.config import (
  FIXED_SIZE,
  FLOW_ONLY,
  compute_dtype,
  magnified_input,
  magnifies,
)
from infusenet_jax.training.engine.losses import Objective, make_objective
from infusenet_jax.training.engine.steps import Batch, Batches, TrainState, Weights

# What runs once is compiled in a third of the time; the numbers are the same.
_HASTY = {"xla_backend_optimization_level": 1}


@dataclass(frozen=True)
class Network:
  """A network's structure, optimiser and compiled steps, without its weights.

  Attributes:
    graph: structure of the `Classifier`.
    head_names: of its heads.
    optimizer, mesh: what its steps were built with.
    like: the shapes and types of its weights.
    draw: (key) -> weights drawn at random.
    objective: what `train_steps` minimise, and what it is told of a fold's clips.
    train_steps: (states, batches) -> states and losses, of all folds side by side.
    steps_per_dispatch: updates in one call of `train_steps`, if clips are on the
      device.
    stack: access to the states of single folds among those side by side.
    magnify: (weights, frames) -> what the network sees of the frames.
    rotate: (weights) -> the infusions' rotations.
    eval_step: (weights, rotations, batch) -> logits (heads, B, 12).
  """

  graph: nnx.GraphDef
  head_names: tuple[str, ...]
  optimizer: optax.GradientTransformation
  mesh: Mesh
  like: Weights
  draw: Callable[[jax.Array], Weights]
  objective: Objective
  train_steps: Callable[[TrainState, Batches], tuple[TrainState, jax.Array]]
  steps_per_dispatch: int
  stack: steps.Stack
  magnify: Callable[[Weights, Batch], jax.Array]
  rotate: Callable[[Weights], Any]
  eval_step: Callable[[Weights, Any, Batch], jax.Array]


def build_network(
  config: ConfigDict,
  mesh: Mesh,
  steps_per_dispatch: int | None = None,
  objective: Objective | None = None,
) -> Network:
  """Builds the structure of a config's model and its steps, compiled on first use.

  Args:
    config: of the run.
    mesh: of the devices.
    steps_per_dispatch: updates in one call; what suits the devices if left out.
    objective: what is minimised; the loss that the config names if left out.
  """
  objective = objective or make_objective(config)
  train_magnifier = config.train.magnifier
  model = nnx.eval_shape(lambda: _create_model(config, nnx.Rngs(0)))
  graph, *like = steps.split_model(model, train_magnifier)
  optimizer = optim.make_optimizer(config.train.learning_rate, config.train.l2)
  return Network(
    graph=graph,
    head_names=model.head_names,
    optimizer=optimizer,
    mesh=mesh,
    like=tuple(like),
    # Compiled, since drawing hundreds of small arrays one by one takes far longer.
    draw=jax.jit(
      lambda key: steps.split_model(
        _create_model(config, nnx.Rngs(key)), train_magnifier
      )[1:],
      compiler_options=_HASTY if on_cpu(mesh) else None,
    ),
    objective=objective,
    train_steps=steps.make_train_steps(
      graph,
      optimizer,
      mesh,
      objective.loss,
      mirror=partial(optim.mirror_faces, magnified=model.magnified)
      if config.train.mirror
      else None,
      cosine_epochs=config.train.epochs if config.train.schedule == "cosine" else None,
    ),
    steps_per_dispatch=steps_per_dispatch or steps.steps_per_dispatch(mesh),
    stack=steps.make_stack(mesh),
    magnify=steps.make_magnify(graph, mesh),
    rotate=steps.make_rotate(graph, mesh),
    eval_step=steps.make_eval_step(graph, mesh),
  )


def initial_state(config: ConfigDict, network: Network, seed: int) -> TrainState:
  """Makes the state before the first step: drawn from `seed`, or read from files.

  Raises:
    UserError: a file of weights is missing or does not fit.
  """
  fields = config.model
  model = nnx.merge(network.graph, *network.draw(jax.random.key(seed)))
  if fields.weights:
    weights.load_infusenet(model, fields.weights)
  else:
    if fields.resnet_weights:
      weights.load_resnet(model, fields.resnet_weights)
    if magnifies(config) and fields.magnifier_weights:
      weights.load_magnifier(model.magnifier, fields.magnifier_weights)
  _, *drawn = steps.split_model(model, config.train.magnifier)
  return steps.new_state(tuple(drawn), network.optimizer, network.mesh)


def decide(heads: Sequence[Any], names: Sequence[str], by: str) -> Any:
  """Returns the logits that decide: those of the head `by`, else the mean of all heads.

  No head is called "both", so that it stands for the mean; a network with a single head
  always decides by that one.

  Args:
    heads: logits, one array for each of `names`.
    names: of the heads.
    by: `config.decide_by`: "both", "flow" or "magnified".
  """
  return heads[names.index(by)] if by in names else sum(heads) / len(heads)


def batch_shapes(config: ConfigDict) -> dict[str, jax.ShapeDtypeStruct]:
  """Describes the arrays in one batch of the train step, by name.

  With a frozen magnifier they hold its latents in place of the frames.
  """
  count, size = config.train.batch_size, config.image_size
  shapes = {
    "flow": ((size, size, 3), jnp.float16),
    "labels": ((len(AUS),), jnp.uint8),
    "weights": ((), jnp.float32),
  }
  seen = magnified_input(config)
  if seen and config.train.magnifier:
    shapes |= dict.fromkeys(frames_held(seen.sees_offset), ((size, size, 3), jnp.uint8))
  elif seen:
    dtype = compute_dtype(config.dtype) if seen.magnifies else jnp.float32
    shapes["latents"] = (seen.shape(size), dtype)
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
  how |= asdict(magnified_input(config))
  if name in BRANCHES:
    return BRANCHES[name](len(AUS), **how)
  how |= {key: fields[key] for key in ("infusion", "gate", "infused")}
  how["detached"] = fields.get("detached", False)
  return InfuseNet(len(AUS), **how)
