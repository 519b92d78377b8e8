"""Writes a trained fold as a checkpoint for PyTorch, by the authors' names.

    python -m infusenet_jax.training.export_torch --workdir RUN --fold casme2 OUT.pth

OUT may end in .pth (needs torch), .safetensors or .npz. The authors' code loads an
InfuseNet of the published form with `load_state_dict(state, strict=False)`: tensors
that their network holds twice or never uses are not written. A ResNet-18 on flow gets
torchvision's names.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from infusenet_jax.models import weights
from infusenet_jax.models.magnified_input import MagnifiedInput
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.files import read_json
from infusenet_jax.runtime.run_files import CONFIG
from infusenet_jax.training.engine.config import magnified_input
from infusenet_jax.training.engine.experiment import blank_state
from infusenet_jax.training.engine.network import build_network
from infusenet_jax.training.trained import restore

# The fields of config.model that make the authors' network.
AUTHORS = {
  "infusion": "published",
  "gate": "batch",
  "infused": 5,
  **asdict(MagnifiedInput()),
}


def trained_state(workdir: Path, seed: int, fold: str) -> dict[str, np.ndarray]:
  """Reads the weights of a trained fold, by PyTorch's names and in its layout.

  Raises:
    UserError: there is no run or no checkpoint, or no network in PyTorch has these
      weights.
  """
  config = ConfigDict(read_json(workdir / CONFIG, "name the workdir of a run"))
  _check_counterpart(workdir / CONFIG, config)
  network = build_network(config, device_mesh(config.train.batch_size, 1, 1))
  state = restore(workdir, seed, fold, blank_state(network))
  return weights.to_torch(nnx.merge(network.graph, *state.weights))


def _check_counterpart(path: Path, config: ConfigDict) -> None:
  model = config.model
  if model.name in ("resnet18", "flow_branch"):
    return
  if model.name != "infusenet":
    raise UserError(
      f"{path}: config.model.name is {model.name!r}; expected infusenet, resnet18 or "
      "flow_branch, whose names PyTorch's files have"
    )
  fields = {**model} | asdict(magnified_input(config))
  for field, expected in AUTHORS.items():
    if (found := fields[field]) != expected:
      raise UserError(
        f"{path}: config.model.{field} is {found!r}, which the authors' network "
        f"cannot compute; expected {expected!r}, as in the config published:infusenet"
      )


def main() -> None:
  """Runs the command; its --help explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.training.export_torch",
    description="Writes a trained fold as a checkpoint for PyTorch.",
  )
  parser.add_argument("--workdir", type=Path, required=True, help="of the run")
  parser.add_argument("--fold", required=True, help="the database left out")
  parser.add_argument("--seed", type=int, default=45, help="of the fold (default 45)")
  parser.add_argument("target", type=Path, metavar="OUT")
  arguments = parser.parse_args()
  target = arguments.target
  if target.suffix not in weights.SUFFIXES:
    raise UserError(
      f"{target}: expected a file name that ends in {' or '.join(weights.SUFFIXES)}"
    )
  state = trained_state(arguments.workdir, arguments.seed, arguments.fold)
  try:
    weights.write(target, state)
  except OSError as error:
    raise UserError(f"{target}: cannot be written ({error.strerror})") from error
  values = sum(tensor.size for tensor in state.values())
  print(f"{target}: {len(state)} tensors, {values:,} values; load with strict=False")


if __name__ == "__main__":
  exit_with_one_line(main)
