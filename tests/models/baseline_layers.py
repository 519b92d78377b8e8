"""Which layer of a baseline is which of its PyTorch build in `published`."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

PARTS = {"kernel": "weight", "scale": "weight", "bias": "bias"}
STATISTICS = {"mean": "running_mean", "var": "running_var"}


def variables(name: str, model: nnx.Module) -> dict[str, tuple[nnx.Variable, tuple]]:
  """Our variables by PyTorch's names, each with how a flattened image enters it.

  PyTorch flattens (C, H, W), this project (H, W, C): (streams, C, H, W) says what the
  rows of a kernel are, () where nothing was flattened.
  """
  layers = {}
  if name == "sssnet":
    for i, layer in enumerate(model.features.layers):
      layers[f"layers.{i}"] = (layer, ())
    for i, layer in enumerate(model.head.layers):
      flattened = (1, 64, 9, 9) if i == 0 else ()
      layers[f"layers.{len(model.features.layers) + 1 + i}"] = (layer, flattened)
  else:
    for s, stream in enumerate(model.streams):
      for i, layer in enumerate(stream.layers):
        layers[f"streams.{s}.{i}"] = (layer, ())
    if name == "ststnet":
      layers["fc"] = (model.head, (1, 16, 5, 5))
    else:
      for i, layer in enumerate(model.head.layers):
        flattened = (len(model.streams), 16, 7, 7) if i == 1 else ()
        layers[f"head.{i}"] = (layer, flattened)
  return {
    f"{place}.{theirs}": (getattr(layer, ours), flattened if ours == "kernel" else ())
    for place, (layer, flattened) in layers.items()
    for ours, theirs in (PARTS | STATISTICS).items()
    if isinstance(getattr(layer, ours, None), nnx.Variable)
  }


def as_torch(name: str, model: nnx.Module) -> dict[str, np.ndarray]:
  """Our network's state by PyTorch's names and in its layout."""
  state = {}
  for place, (variable, flattened) in variables(name, model).items():
    x = np.asarray(variable[...])
    if flattened:
      streams, channels, height, width = flattened
      x = x.reshape(streams, height, width, channels, -1).transpose(4, 0, 3, 1, 2)
      x = x.reshape(len(x), -1)
    elif x.ndim == 4:
      x = x.transpose(3, 2, 0, 1)
    else:
      x = x.T
    state[place] = x
  return state


def fill(name: str, model: nnx.Module, state: dict[str, np.ndarray]) -> None:
  """Gives our network PyTorch's state."""
  held = variables(name, model)
  assert held.keys() == state.keys()
  for place, (variable, flattened) in held.items():
    x = np.asarray(state[place])
    if flattened:
      streams, channels, height, width = flattened
      x = x.reshape(-1, streams, channels, height, width).transpose(1, 3, 4, 2, 0)
      x = x.reshape(-1, x.shape[-1])
    elif x.ndim == 4:
      x = x.transpose(2, 3, 1, 0)
    else:
      x = x.T
    assert x.shape == variable[...].shape, place
    variable.set_value(jnp.asarray(x))


def without_dropout(model: nnx.Module) -> None:
  """Lets everything pass."""
  for _, module in nnx.iter_modules(model):
    if isinstance(module, nnx.Dropout):
      module.rate = 0.0
