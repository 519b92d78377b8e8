"""Trained networks as one file: weights, config, calibration and card, no pickle.

The file is .safetensors. Tensors are called MEMBER/params|frozen|rest/PATH; kernels are
float16, which halves the file and moves probabilities by less than what calibration
cannot know anyway; everything else is float32. The header's metadata hold the rest.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from ml_collections import ConfigDict

from infusenet_jax.evaluate.calibration import Calibration
from infusenet_jax.runtime.checkpoint import checksum
from infusenet_jax.runtime.devices import replicate
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.training.engine.network import Network
from infusenet_jax.training.engine.steps import Weights
from infusenet_jax.training.trained import Made

_PARTS = ("params", "frozen", "rest")  # Of `Weights`.


@dataclass(frozen=True)
class Packed:
  """What a file holds; the tensors become weights once the network is built.

  Attributes:
    config: that the networks were trained with.
    members: (seed, fold) of each.
    tensors: of all.
    made: how their records were made.
    calibration: of their mean logits, or None.
    card: for `findings.Report.model`, and how the file was made.
  """

  config: ConfigDict
  members: tuple[tuple[int, str], ...]
  tensors: dict[str, np.ndarray]
  made: Made
  calibration: Calibration | None
  card: dict[str, Any]

  def weights(self, network: Network, path: Path) -> tuple[Weights, ...]:
    """The weights of each member, on the devices of `network`.

    Raises:
      UserError: the tensors are not those of the network; `path` is their file.
    """
    found = []
    for member in range(len(self.members)):
      tree = jax.tree_util.tree_map_with_path(
        lambda place, leaf, member=member: self._leaf(member, place, leaf, path),
        network.like,
      )
      found.append(replicate(tree, network.mesh))
    return tuple(found)

  def _leaf(self, member: int, place: tuple, like: Any, path: Path) -> Any:
    if _is_key(like):  # Of a baseline's dropout, which is off.
      return jax.random.key(0)
    name = _name(member, place)
    array = self.tensors.get(name)
    if array is None or array.shape != like.shape:
      shape = "missing" if array is None else array.shape
      raise UserError(
        f"{path}: {name} is {shape}, expected {like.shape}: these are weights of "
        "another architecture or version; pack the run again"
      )
    return jnp.asarray(array, like.dtype)


def write_packed(
  path: Path,
  *,
  config: ConfigDict,
  members: Sequence[tuple[int, str]],
  weights: Sequence[Weights],
  made: Made,
  calibration: Calibration | None,
  card: dict[str, Any],
) -> int:
  """Writes `Packed`'s fields as a file, all or nothing; returns how many bytes."""
  tensors = {}
  for member, own in enumerate(weights):
    for place, leaf in jax.tree_util.tree_leaves_with_path(own):
      if not _is_key(leaf):
        array = np.asarray(leaf)
        short = np.float16 if array.ndim > 1 else array.dtype
        tensors[_name(member, place)] = array.astype(short, order="C")
  about = {
    "config": without_folders(json.loads(config.to_json_best_effort())),
    "members": list(members),
    "made": asdict(made),
    "calibration": calibration and calibration.to_dict(),
    "card": card,
    "checksum": checksum(tensors),
  }
  metadata = {"about": json.dumps(about, sort_keys=True)}
  content = safetensors.numpy.save(tensors, metadata)
  write_atomically(path, content)
  return len(content)


def without_folders(fields: Any) -> Any:
  """A config's fields; of absolute paths the last part, as the rest tells on people."""
  if isinstance(fields, dict):
    return {name: without_folders(value) for name, value in fields.items()}
  is_path = isinstance(fields, str) and Path(fields).is_absolute()
  return Path(fields).name if is_path else fields


def read_packed(path: Path) -> Packed:
  """What `write_packed` wrote.

  Raises:
    UserError: the file is missing, damaged, or another's.
  """
  try:
    with safetensors.safe_open(path, framework="np") as file:
      about = json.loads((file.metadata() or {})["about"])
      tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if about["checksum"] != checksum(tensors):
      raise ValueError("its checksum is another")
    calibration = about["calibration"]
    return Packed(
      config=ConfigDict(about["config"]),
      members=tuple((int(seed), str(fold)) for seed, fold in about["members"]),
      tensors=tensors,
      made=Made(**about["made"]),
      calibration=calibration and Calibration.from_dict(calibration),
      card=dict(about["card"]),
    )
  except (
    OSError,
    KeyError,
    TypeError,
    ValueError,
    safetensors.SafetensorError,
  ) as error:
    reason = " ".join(str(error).split())
    raise UserError(
      f"{path}: no sound file of packed networks ({reason}); expected one that "
      "`python -m infusenet_jax.predict.weights.pack` wrote"
    ) from error


def _is_key(leaf: Any) -> bool:
  return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _name(member: int, place: tuple) -> str:
  part, *path = place
  inner = jax.tree_util.keystr(path, simple=True, separator=".")
  return f"{member}/{_PARTS[part.idx]}/{inner}"
