"""From a config to a model and the compiled steps that all folds and seeds share."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict

from infusenet_jax import engine, recipe
from infusenet_jax.data import FRAMES
from infusenet_jax.engine import Batch, TrainState
from infusenet_jax.errors import UserError
from infusenet_jax.models import weights
from infusenet_jax.models.baselines import BASELINES
from infusenet_jax.models.branches import BRANCHES
from infusenet_jax.models.infusenet import INFUSIONS, PLACES, InfuseNet
from infusenet_jax.models.infusion import GATES
from infusenet_jax.models.magnified import MAGNIFIED, MagnifiedInput
from infusenet_jax.parallel import over_folds_and_batch
from infusenet_jax.protocol import AUS, DATABASES

DECISIONS = ("both", "flow", "magnified")
FLOW_ONLY = (*BASELINES, "flow_branch")


@dataclass(frozen=True)
class Network:
  """Structure, optimiser and compiled steps; the state is kept apart from it."""

  graph: nnx.GraphDef
  optimizer: optax.GradientTransformation
  mesh: Mesh
  draw: Callable[[jax.Array], tuple[nnx.State, nnx.State, nnx.State]]
  train_step: Callable[[TrainState, Batch], TrainState]
  slots: engine.Slots
  magnify: Callable[..., jax.Array]
  rotate: Callable[..., Any]
  eval_step: Callable[..., jax.Array]


def check_config(config: ConfigDict) -> None:
  """Refuses field values that no run can have, before anything is computed.

  Raises:
    UserError: naming the field, what it holds and what it may hold.
  """
  model, train = config.model, config.train
  choices = (
    ("config.model.name", model.name, ("infusenet", *BASELINES, *BRANCHES)),
    ("config.model.infusion", model.infusion, INFUSIONS),
    ("config.model.gate", model.gate, GATES),
    ("config.model.infused", model.infused, range(PLACES + 1)),
    ("config.model.magnified", model.magnified, MAGNIFIED),
    ("config.train.schedule", train.schedule, recipe.SCHEDULES),
    ("config.decide_by", config.decide_by, DECISIONS),
    ("config.protocol", config.protocol, ("cd6me", "loso")),
    ("config.dtype", config.dtype, ("auto", "float32", "bfloat16")),
  )
  for field, found, allowed in choices:
    if found not in allowed:
      expected = ", ".join(map(str, allowed))
      raise UserError(f"{field} is {found!r}; expected one of {expected}")
  if fold_names(config) == []:
    raise UserError(
      f"config.folds is {config.folds!r}; expected 'all' or some of "
      f"{', '.join(DATABASES)}"
    )
  for name in fold_names(config) or ():
    if name.split("/")[0] not in DATABASES:
      raise UserError(
        f"config.folds names {name!r}; expected 'all' or some of {', '.join(DATABASES)}"
      )
  if config.image_size < 32 or config.image_size % 16:
    raise UserError(
      f"config.image_size is {config.image_size}; expected a multiple of 16 from 32"
    )
  positive = {
    "config.train.epochs": train.epochs,
    "config.train.batch_size": train.batch_size,
    "config.train.learning_rate": train.learning_rate,
    "config.train.checkpoint_epochs": train.checkpoint_epochs,
    "config.model.width": model.width,
  }
  for field, found in positive.items():
    if found <= 0:
      raise UserError(f"{field} is {found}; expected a number above 0")
  if model.width % 2:
    raise UserError(f"config.model.width is {model.width}; expected an even number")
  if model.amp <= 1:
    raise UserError(f"config.model.amp is {model.amp}; expected a factor above 1")
  if model.resnet_weights and model.name != "infusenet":
    raise UserError(
      f"config.model.resnet_weights is {model.resnet_weights!r}, but {model.name} "
      "starts from no file; leave it empty"
    )
  if train.l2 < 0:
    raise UserError(f"config.train.l2 is {train.l2}; expected 0 or more")
  seeds = config.seeds
  if not seeds or not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
    raise UserError(
      f"config.seeds is {seeds!r}; expected whole numbers from 0, such as 45,46"
    )
  drawn = sees_frames(config) and not model.magnifier_weights
  if drawn and not train.magnifier and len(seeds) > 1:
    raise UserError(
      "config.model.magnifier_weights is empty, so each seed would draw a magnifier of "
      "its own, but a frozen one is shared by all seeds; name weights, give one seed, "
      "or set config.train.magnifier"
    )


def fold_names(config: ConfigDict) -> list[str] | None:
  """The folds that config.folds lists, or None for all."""
  if config.folds == "all":
    return None
  return [name.strip() for name in config.folds.split(",") if name.strip()]


def build_network(config: ConfigDict, mesh: Mesh) -> Network:
  """The structure of `config`'s model and its steps, compiled on first use."""
  train_magnifier = config.train.magnifier
  model = nnx.eval_shape(lambda: _create_model(config, nnx.Rngs(0)))
  graph, *_ = engine.split_model(model, train_magnifier)
  optimizer = recipe.make_optimizer(config.train.learning_rate, config.train.l2)
  return Network(
    graph=graph,
    optimizer=optimizer,
    mesh=mesh,
    # Compiled, since hundreds of small draws one by one take far longer.
    draw=jax.jit(
      lambda key: engine.split_model(
        _create_model(config, nnx.Rngs(key)), train_magnifier
      )[1:]
    ),
    train_step=engine.make_train_step(
      graph,
      optimizer,
      mesh,
      mirror=config.train.mirror,
      cosine_epochs=config.train.epochs if config.train.schedule == "cosine" else None,
    ),
    slots=engine.make_slots(mesh),
    magnify=engine.make_magnify(graph, mesh),
    rotate=engine.make_rotate(graph, mesh) if infuses(config) else lambda *_: None,
    eval_step=engine.make_eval_step(graph, mesh),
  )


def infuses(config: ConfigDict) -> bool:
  """Whether the model is InfuseNet, which has rotations and two heads."""
  return config.model.name == "infusenet"


def sees_frames(config: ConfigDict) -> bool:
  """Whether the model looks at more than the flow."""
  return magnified_input(config) is not None


def magnified_input(config: ConfigDict) -> MagnifiedInput | None:
  """What the model sees of the frames; None where it looks at the flow alone."""
  fields = config.model
  if fields.name in FLOW_ONLY:
    return None
  return MagnifiedInput(fields.magnified, fields.window_apex, fields.amp)


def initial_state(config: ConfigDict, network: Network, seed: int) -> TrainState:
  """The state before the first step: drawn from `seed`, or read from weights files.

  Raises:
    UserError: a weights file that is missing or does not fit.
  """
  fields = config.model
  model = nnx.merge(network.graph, *network.draw(jax.random.key(seed)))
  if fields.resnet_weights:
    weights.load_resnet(model, fields.resnet_weights)
  if sees_frames(config) and fields.magnifier_weights:
    weights.load_magnifier(model.magnifier, fields.magnifier_weights)
  _, params, frozen, rest = engine.split_model(model, config.train.magnifier)
  return engine.new_state(params, frozen, rest, network.optimizer, network.mesh)


def compute_dtype(name: str) -> jnp.dtype:
  """The type of activations; parameters, statistics and losses are always float32."""
  if name == "auto":
    name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
  return jnp.dtype(name)


def seconds_per_step(config: ConfigDict, network: Network) -> float:
  """Compiles the train step and times it, on weights and a batch of zeros."""
  shapes = (jax.eval_shape(network.draw, jax.random.key(0)), batch_shapes(config))
  weights, batch = jax.tree.map(_zeros, shapes)
  state = engine.new_state(*weights, network.optimizer, network.mesh)
  states = network.slots.fill(state)
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


def _create_model(config: ConfigDict, rngs: nnx.Rngs) -> nnx.Module:
  fields, name = config.model, config.model.name
  if name in BASELINES and name != "resnet18":
    return BASELINES[name](len(AUS), rngs=rngs)
  how = {"width": fields.width, "dtype": compute_dtype(config.dtype), "rngs": rngs}
  if name in FLOW_ONLY:
    return (BASELINES | BRANCHES)[name](len(AUS), **how)
  how |= {key: fields[key] for key in ("magnified", "window_apex", "amp")}
  if name in BRANCHES:
    return BRANCHES[name](len(AUS), **how)
  how |= {key: fields[key] for key in ("infusion", "gate", "infused")}
  return InfuseNet(len(AUS), **how)
