"""Reads and writes weights by the tensor names of the authors and of torchvision.

A state is a mapping of tensor names to NumPy arrays in PyTorch's layout. Files are
PyTorch's (.pth, .bin; needs torch, an optional extra), .safetensors, or the same state
as a plain .npz; the last two hold no pickle. Three kinds of state are told apart by
their tensor names: a ResNet-18 (torchvision's and timm's have the same names), a
magnifier, a whole InfuseNet. To check a file and convert it:

    python -m infusenet_jax.models.weights IN OUT
"""

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import jax.numpy as jnp
import numpy as np
from flax import nnx

from infusenet_jax.models.classifier import Classifier
from infusenet_jax.models.infusenet import InfuseNet
from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.files import read_arrays

SUFFIXES = (".npz", ".safetensors", ".pth")  # of the files that `write` writes
PRETRAINED_MAGNIFIER = Path(__file__).with_name("magnifier.npz")

State = Mapping[str, np.ndarray]

# From our paths, with dots between the parts, to PyTorch's names: (pattern,
# replacement), applied in this order.
_RENAMED = (
  (r"\.layers\.", "."),
  (r"^flow_", ""),
  (r"^stem\.", ""),
  (r"^magnified_(stem\.)?", "spatial_model_mag."),
  (r"\bstages\.(\d)", lambda match: f"layer{int(match[1]) + 1}"),
  (r"^head\.", "fc."),
  (r"^magnifier\.", "mag_"),
  (r"manipulator\.before\.", "manipulator.convblks.0.conv1."),
  (r"manipulator\.after\.", "manipulator.convblks_after.0.conv1."),
  (r"\.(kernel|scale)$", ".weight"),
  (r"\.mean$", ".running_mean"),
  (r"\.var$", ".running_var"),
)
# Tensors that a file holds twice, that its network never uses, or that only PyTorch
# uses.
_REDUNDANT = re.compile(
  r"spatial_model\.|spatial_model_mag\.(conv1|bn1|fc)\.|.*\.num_batches_tracked$"
)


def from_torch(model: nnx.Module, state: State) -> None:
  """Fills `model` from a state, in place.

  Args:
    model: an `InfuseNet`, a ResNet-18 on flow or a `Magnifier`.
    state: of a network of the same kind; all names may begin with "module.". Unitary
      infusion has no counterpart in it and keeps its initial parameters, with which it
      computes what the published infusion computes.

  Raises:
    ValueError: a tensor is missing, surplus or misshapen; the message names each.
  """
  state = _plain(state)
  if isinstance(model, Magnifier):
    state = {name.removeprefix("mag_"): tensor for name, tensor in state.items()}
  _fill(dict(_variables(model)), state)


def to_torch(model: nnx.Module) -> dict[str, np.ndarray]:
  """Returns the state of a network by PyTorch's names, without unitary infusion's."""
  return {name: _to_torch_layout(v[...]) for name, v in _variables(model)}


def load_resnet(model: Classifier, path: str | Path) -> None:
  """Fills the trunks of `model` from a ResNet-18 file, torchvision's or timm's.

  The flow branch gets all but the file's classifier, a magnified branch the four
  stages.

  Raises:
    UserError: the file is absent, unreadable or no ResNet-18 of this width.
  """
  state = _without_classifier(read(path))
  _named(path, _fill, _flow_branch(model), state)
  prefix = "spatial_model_mag."
  for name, variable in _variables(model):
    tensor = state.get(name.removeprefix(prefix))
    # With a width other than 64 the first block of the magnified branch differs from a
    # ResNet's, since it projects 64 latent channels: it keeps its initial values.
    if name.startswith(prefix) and tensor is not None:
      array = _from_torch_layout(tensor)
      if array.shape == variable[...].shape:
        variable[...] = jnp.asarray(array, variable.dtype)


def load_infusenet(model: InfuseNet, path: str | Path) -> None:
  """Fills all of `model` from a checkpoint as the authors of InfuseNet write it.

  Raises:
    UserError: the file is absent, unreadable or no InfuseNet of this shape.
  """
  _named(path, from_torch, model, read(path))


def load_magnifier(model: InfuseNet | Magnifier, path: str | Path) -> None:
  """Fills a magnifier, or the magnifier of an InfuseNet, from a file.

  The path "pretrained" stands for the weights that ship with this package. From the
  file of a whole InfuseNet its magnifier is taken.

  Raises:
    UserError: the file is absent, unreadable or holds no magnifier.
  """
  magnifier = model.magnifier if isinstance(model, InfuseNet) else model
  state = read(PRETRAINED_MAGNIFIER if path == "pretrained" else path)
  if any(name.startswith("mag_") for name in state):
    state = {k: v for k, v in state.items() if k.startswith("mag_")}
  _named(path, from_torch, magnifier, state)


def read(path: str | Path) -> dict[str, np.ndarray]:
  """Reads the state in a file, without prefixes and redundant tensors.

  Args:
    path: of a .npz or .safetensors file; with any other suffix, of what torch.save
      wrote: a state, or a dict with a state under "state_dict", "model_state_dict" or
        "model".

  Raises:
    UserError: the file is absent or not what its suffix says, or torch is missing.
  """
  path = Path(path)
  if not path.is_file():
    raise UserError(
      f"{path}: no such weights file; docs/comparable.md says where they come from"
    )
  try:
    if path.suffix == ".npz":
      state = _plain(read_arrays(path))
    elif path.suffix == ".safetensors":
      state = _plain(_read_safetensors(path))
    else:
      state = _plain(_read_torch(path))
    _check_values(state)
    return state
  except (ValueError, OSError) as error:
    raise UserError(f"{path}: not a readable weights file ({error})") from error


def _check_values(state: State) -> None:
  for name, tensor in state.items():
    if not np.issubdtype(tensor.dtype, np.floating):
      raise ValueError(f"{name} holds {tensor.dtype}, expected real numbers")
    if not np.isfinite(tensor).all():
      raise ValueError(f"{name} holds values that are not finite")


def write(path: str | Path, state: State) -> None:
  """Writes a state, in the format that the path's suffix, one of `SUFFIXES`, names.

  Raises:
    ValueError: another suffix.
    UserError: it is .pth, and torch is missing.
  """
  path = Path(path)
  state = {name: np.ascontiguousarray(tensor) for name, tensor in state.items()}
  if path.suffix == ".npz":
    np.savez_compressed(path, **state)
  elif path.suffix == ".safetensors":
    import safetensors.numpy  # As torch, only where such a file is.

    safetensors.numpy.save_file(state, path)
  elif path.suffix == ".pth":
    torch = _torch(path)
    torch.save({name: torch.from_numpy(x.copy()) for name, x in state.items()}, path)
  else:
    raise ValueError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
  import safetensors.numpy

  try:
    return safetensors.numpy.load_file(path)
  except (safetensors.SafetensorError, KeyError, TypeError) as error:
    raise ValueError(str(error)) from error


def _torch(path: Path) -> ModuleType:
  try:
    import torch
  except ImportError:
    raise UserError(
      f"{path}: PyTorch files need torch, found none; pip install "
      "'infusenet_jax[torch]', or take a .safetensors or .npz file"
    ) from None
  return torch


def _read_torch(path: Path) -> dict[str, np.ndarray]:
  torch = _torch(path)
  try:
    state = torch.load(path, map_location="cpu", weights_only=True)
  except Exception as error:  # torch's unpickler can raise anything
    raise UserError(
      f"{path}: not a PyTorch file of plain tensors ({type(error).__name__}); "
      "expected what torch.save(model.state_dict(), path) writes"
    ) from error
  for key in ("state_dict", "model_state_dict", "model"):
    if isinstance(state, dict) and isinstance(state.get(key), dict):
      state = state[key]
  if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
    raise UserError(f"{path}: expected a mapping of names to tensors")
  return {name: tensor.numpy() for name, tensor in state.items()}


def _plain(state: State) -> dict[str, np.ndarray]:
  state = {name.removeprefix("module."): np.asarray(v) for name, v in state.items()}
  return {name: v for name, v in state.items() if not _REDUNDANT.match(name)}


def _variables(model: nnx.Module) -> Iterator[tuple[str, nnx.Variable]]:
  """Yields PyTorch's names with our variables, without unitary infusion's."""
  for path, variable in nnx.iter_graph(model):
    if not isinstance(variable, nnx.Variable) or path[0] == "infusions":
      continue
    name = ".".join(map(str, path))
    for pattern, replacement in _RENAMED:
      name = re.sub(pattern, replacement, name)
    yield name, variable


def _flow_branch(model: Classifier) -> dict[str, nnx.Variable]:
  elsewhere = ("mag_", "spatial_model_mag.", "fc.")
  return {n: v for n, v in _variables(model) if not n.startswith(elsewhere)}


def _without_classifier(state: State) -> dict[str, np.ndarray]:
  return {name: v for name, v in state.items() if not name.startswith("fc.")}


def _fill(variables: Mapping[str, nnx.Variable], state: State) -> None:
  wrong = [f"missing {name}" for name in variables if name not in state]
  wrong += [f"surplus {name}" for name in state if name not in variables]
  arrays = {}
  for name in variables.keys() & state.keys():
    arrays[name] = _from_torch_layout(state[name])
    if (found := state[name].shape) != (
      expected := _to_torch_layout(variables[name][...]).shape
    ):
      wrong.append(f"{name} is {found}, expected {expected}")
  if wrong:
    raise ValueError(f"{len(wrong)} tensors do not fit: {', '.join(sorted(wrong))}")
  for name, array in arrays.items():
    variables[name][...] = jnp.asarray(array, variables[name].dtype)


def _from_torch_layout(x: np.ndarray) -> np.ndarray:
  """Transposes a convolution (out, in, h, w) to (h, w, in, out), or a linear layer."""
  return x.transpose(2, 3, 1, 0) if x.ndim == 4 else x.T


def _to_torch_layout(x) -> np.ndarray:
  x = np.asarray(x)
  return x.transpose(3, 2, 0, 1) if x.ndim == 4 else x.T


def _named(path, function, *args) -> None:
  try:
    function(*args)
  except ValueError as error:
    raise UserError(f"{path}: {error}") from error


def check(state: State) -> str:
  """Names the kind of a state, after comparing its tensors with a model of that kind.

  Raises:
    ValueError: the state is of none of the three kinds, or its tensors do not fit.
  """
  if "mag_encoder.conv1.weight" in state:
    classes = len(state["fc.bias"]) if "fc.bias" in state else 12
    kind, create = "InfuseNet", lambda: InfuseNet(classes, rngs=nnx.Rngs(0))
  elif "encoder.conv1.weight" in state:
    kind, create = "magnifier", lambda: Magnifier(rngs=nnx.Rngs(0))
  elif "layer1.0.conv1.weight" in state:
    model = InfuseNet(rngs=nnx.Rngs(0))
    _fill(_flow_branch(model), _without_classifier(state))
    return "ResNet-18"
  else:
    some = ", ".join(list(state)[:3]) or "nothing"
    raise ValueError(
      f"holds {some} ...; expected the names of a ResNet-18, a magnifier or InfuseNet"
    )
  from_torch(create(), state)
  return kind


def main() -> None:
  """Runs the command; `python -m infusenet_jax.models.weights --help` explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.models.weights",
    description="Turns weights (ResNet-18, magnifier or InfuseNet) into another form.",
  )
  parser.add_argument("source", type=Path, metavar="IN")
  parser.add_argument("target", type=Path, metavar="OUT")
  arguments = parser.parse_args()
  if arguments.target.suffix not in SUFFIXES:
    raise UserError(
      f"{arguments.target}: expected a file name that ends in {' or '.join(SUFFIXES)}"
    )
  state = read(arguments.source)
  try:
    kind = check(state)
    write(arguments.target, state)
  except ValueError as error:
    raise UserError(f"{arguments.source}: {error}") from error
  except OSError as error:
    raise UserError(
      f"{arguments.target}: cannot be written ({error.strerror})"
    ) from error
  values = sum(tensor.size for tensor in state.values())
  print(f"{arguments.target}: {kind}, {len(state)} tensors, {values:,} values")


if __name__ == "__main__":
  exit_with_one_line(main)
