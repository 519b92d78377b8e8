"""Checks the fields of a training config, and reads what follows from them."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import DATABASES, is_database
from infusenet_jax.clips.prepared import head_of, offset_of
from infusenet_jax.clips.schema import HEADS
from infusenet_jax.evaluate.thresholds import FITTED, ZERO
from infusenet_jax.models.baselines import BASELINES, STREAMS
from infusenet_jax.models.branches import BRANCHES
from infusenet_jax.models.infusenet import INFUSIONS, PLACES
from infusenet_jax.models.infusion import GATES
from infusenet_jax.models.magnified_input import (
  MAGNIFIED,
  OF_LATENTS,
  REFERENCES,
  MagnifiedInput,
)
from infusenet_jax.runtime.configs import check_values
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine import optim
from infusenet_jax.training.engine.losses import LOSSES, loss_name

DECISIONS = ("both", "flow", "magnified")
PROTOCOLS = ("cd6me", "loso", "all")
DTYPES = ("auto", "float32", "bfloat16")
FLOW_ONLY = (*BASELINES, "flow_branch")  # Networks that see nothing but flow.
# Networks that have a size of their own, to which they resize the flow.
FIXED_SIZE = ("sssnet", "ststnet", "off_apexnet")
# Networks with a trunk that a ResNet-18 can start.
WITH_TRUNK = ("infusenet", "resnet18", "flow_branch", "concatenated")
# Networks whose heads are one linear layer on pooled features.
POOLED = (*WITH_TRUNK, "magnified_branch", "concatenated_input")


def check_config(config: ConfigDict) -> None:
  """Refuses field values with which no run is possible, before anything is computed.

  Args:
    config: of the task "cd6me", such as configs/cd6me.py makes.

  Raises:
    UserError: a field has such a value; the message names the field, what it holds and
      what it may hold.
  """
  check_values(config)
  model, train = config.model, config.train
  choices = (
    ("config.model.name", model.name, ("infusenet", *BASELINES, *BRANCHES)),
    ("config.model.infusion", model.infusion, INFUSIONS),
    ("config.model.gate", model.gate, GATES),
    ("config.model.infused", model.infused, range(PLACES + 1)),
    ("config.model.magnified", model.magnified, MAGNIFIED),
    ("config.model.reference", model.get("reference", ""), REFERENCES),
    ("config.model.streams", model.streams, STREAMS),
    ("config.train.schedule", train.schedule, optim.SCHEDULES),
    ("config.train.loss", loss_name(config), tuple(LOSSES)),
    ("config.decide_by", config.decide_by, DECISIONS),
    ("config.decide_at", config.get("decide_at", ZERO), (ZERO, FITTED)),
    ("config.protocol", config.protocol, PROTOCOLS),
    ("config.dtype", config.dtype, DTYPES),
  )
  for field, found, allowed in choices:
    if found not in allowed:
      expected = ", ".join(str(each) or "''" for each in allowed)
      raise UserError(f"{field} is {found!r}; expected one of {expected}")
  if fold_names(config) == []:
    raise UserError(
      f"config.folds is {config.folds!r}; expected 'all' or some of "
      f"{', '.join(DATABASES)}"
    )
  for name in fold_names(config) or ():
    key = name.split("/")[0]  # Records may hold databases beside the six.
    if not (is_database(key) if config.data_dir else key in DATABASES):
      raise UserError(
        f"config.folds names {name!r}; expected 'all' or some of {', '.join(DATABASES)}"
      )
  if config.protocol == "all" and fold_names(config) is not None:
    raise UserError(
      f"config.folds is {config.folds!r}, but config.protocol='all' leaves nothing "
      "out; leave config.folds at 'all', or take config.protocol='cd6me'"
    )
  smallest, step = (28, 1) if model.name in FIXED_SIZE else (32, 16)
  if config.image_size < smallest or config.image_size % step:
    expected = f"a multiple of {step} from" if step > 1 else "at least"
    raise UserError(
      f"config.image_size is {config.image_size}; expected {expected} {smallest}"
    )
  if train.epochs < 0 or not (train.epochs or model.weights):
    raise UserError(
      f"config.train.epochs is {train.epochs}; expected a number above 0, or 0 to test "
      "the network that config.model.weights names"
    )
  if config.protocol == "all" and not train.epochs:
    raise UserError(
      "config.train.epochs is 0, but config.protocol='all' tests nothing, so there is "
      "nothing to do; expected a number above 0, or config.protocol='cd6me'"
    )
  if fits_thresholds(config) and (config.protocol != "cd6me" or not train.epochs):
    raise UserError(
      "config.decide_at is 'fitted', which trains networks that leave two databases "
      f"out, but config.protocol is {config.protocol!r} and config.train.epochs "
      f"{train.epochs}; expected 'cd6me' and a number above 0, or config.decide_at='0'"
    )
  positive = {
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
  _check_seen(model)
  starts = {
    "config.model.resnet_weights": (model.resnet_weights, WITH_TRUNK),
    "config.model.weights": (model.weights, ("infusenet",)),
  }
  for field, (found, networks) in starts.items():
    if found and model.name not in networks:
      raise UserError(
        f"{field} is {found!r}, but {model.name} starts from no such file; leave it "
        f"empty, or take one of {', '.join(networks)}"
      )
  if train.l2 < 0:
    raise UserError(f"config.train.l2 is {train.l2}; expected 0 or more")
  seeds = config.seeds
  if not seeds or not all(_is_seed(seed) for seed in seeds):
    raise UserError(
      f"config.seeds is {seeds!r}; expected whole numbers from 0 and below 2^63, such "
      "as 45,46"
    )
  if not config.data_dir:
    _check_simulated(config.simulated)
    if sees_offset(config) and not offset_of(config.simulated):
      raise UserError(
        f"config.model.reference is {model.reference!r}, but config.simulated.offset is"
        " False; set config.simulated.offset=True, or take another reference"
      )
  drawn = magnifies(config) and not (model.magnifier_weights or model.weights)
  if drawn and not train.magnifier and len(seeds) > 1:
    raise UserError(
      "config.model.magnifier_weights is empty, so each seed would draw a magnifier of "
      "its own, but a frozen one is shared by all seeds; name weights, give one seed, "
      "or set config.train.magnifier"
    )


def _check_seen(model: ConfigDict) -> None:
  """Refuses what no network can see of the frames."""
  if model.amp <= 1:
    raise UserError(f"config.model.amp is {model.amp}; expected a factor above 1")
  amps = model.get("more_amps", ())
  if not all(isinstance(amp, (int, float)) and 1 < amp < math.inf for amp in amps):
    raise UserError(
      f"config.model.more_amps is {amps!r}; expected factors above 1, such as 5,20"
    )
  if model.magnified != "latents" and model.get("reference", "") in OF_LATENTS:
    raise UserError(
      f"config.model.reference is {model.reference!r}, which is of latents, but "
      f"config.model.magnified is {model.magnified!r}; expected another reference or "
      "magnified='latents'"
    )
  if model.magnified == "difference" and amps:
    raise UserError(
      f"config.model.more_amps is {amps!r}, but config.model.magnified is 'difference',"
      " which magnifies nothing; expected ()"
    )
  if model.name == "concatenated_input" and model.magnified == "latents":
    raise UserError(
      "config.model.magnified is 'latents', which are smaller than the flow, but "
      "concatenated_input sees both as one image; expected reconstructed or difference"
    )


def _is_seed(seed: object) -> bool:
  return type(seed) is int and 0 <= seed < 2**63


def _check_simulated(simulated: ConfigDict) -> None:
  if (head := head_of(simulated)) not in HEADS:
    raise UserError(
      f"config.simulated.head is {head!r}; expected one of {', '.join(HEADS)}"
    )
  if not 0 < simulated.scale <= 1:
    raise UserError(
      f"config.simulated.scale is {simulated.scale}; expected above 0 and up to 1"
    )
  if not 0 <= simulated.nuisance <= 3:
    raise UserError(
      f"config.simulated.nuisance is {simulated.nuisance}; expected from 0 to 3"
    )


def fold_names(config: ConfigDict) -> list[str] | None:
  """Splits `config.folds`, such as "casme2,samm", into names; None stands for all."""
  if config.folds == "all":
    return None
  return [name.strip() for name in config.folds.split(",") if name.strip()]


def fits_thresholds(config: ConfigDict) -> bool:
  """Whether thresholds are fitted; in configs from before that could be said, not."""
  return config.get("decide_at", ZERO) == FITTED


def sees_frames(config: ConfigDict) -> bool:
  """Whether the network gets frames (onset, apex, window apex) beside the flow."""
  return magnified_input(config) is not None


def sees_offset(config: ConfigDict) -> bool:
  """Whether the frame at the offset is one of them."""
  seen = magnified_input(config)
  return seen is not None and seen.sees_offset


def magnified_input(config: ConfigDict) -> MagnifiedInput | None:
  """Reads what the network sees of the frames; configs from before a field lack it.

  Returns:
    None for a network that sees the flow alone.
  """
  fields = config.model
  if fields.name in FLOW_ONLY:
    return None
  seen = {
    field.name: fields.get(field.name, field.default)
    for field in dataclasses.fields(MagnifiedInput)
  }
  return MagnifiedInput(**seen)


def magnifies(config: ConfigDict) -> bool:
  """Whether the network has a magnifier."""
  seen = magnified_input(config)
  return seen is not None and seen.magnifies


def compute_dtype(name: str) -> jnp.dtype:
  """Turns `config.dtype` into the type in which activations are computed.

  Parameters, batch statistics and losses are float32 whatever it is.

  Args:
    name: "float32", "bfloat16", or "auto": bfloat16 on GPUs and TPUs, float32 on CPUs.
  """
  if name == "auto":
    name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
  return jnp.dtype(name)
