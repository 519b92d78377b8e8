"""Compiles the train step for a TPU that is not there, and says what XLA counts in it.

    pip install libtpu
    python -m infusenet_jax.benchmark.accelerator.ahead_of_time --topology=v5e:2x2

Needs libtpu and no TPU; the published size takes two cores about 12 minutes. The table
is that of docs/performance.md: XLA's own analysis, nothing is run or timed.
"""

import argparse
import importlib.util
import os
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh
from ml_collections import ConfigDict

from infusenet_jax.benchmark.accelerator.sizes import PUBLISHED, TINY
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.text import markdown_table
from infusenet_jax.training.engine import steps
from infusenet_jax.training.engine.network import (
  Network,
  batch_shapes,
  build_network,
)


def main(arguments: Sequence[str] | None = None) -> None:
  """Prints the table of what the command line asks for."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.benchmark.accelerator.ahead_of_time",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    "--topology",
    default="v5e:2x2",
    help="of the TPU, as libtpu spells it (default: v5e:2x2); one device is used",
  )
  parser.add_argument("--tiny", action="store_true", help="a network for trying out")
  flags = parser.parse_args(arguments)
  device = first_device(flags.topology)
  config = (TINY if flags.tiny else PUBLISHED).config("bfloat16")
  start = time.monotonic()
  compiled = compiled_step(config, device)
  seconds = time.monotonic() - start
  rows = [[name, value] for name, value in counted(compiled).items()]
  rows.append(["compiling", f"{seconds:.0f} s"])
  print(f"{config.image_size} px, batch {config.train.batch_size}, {flags.topology}:\n")
  print(markdown_table([["what", ""], *rows]))


def first_device(topology: str) -> Any:
  """The first device of a TPU that libtpu knows, present or not.

  Raises:
    UserError: libtpu is missing, or knows no such TPU.
  """
  if importlib.util.find_spec("libtpu") is None:
    raise UserError("libtpu is not installed; try: pip install libtpu")
  # Or it asks a cloud's server who its neighbours are.
  os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
  os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
  try:
    found = topologies.get_topology_desc(topology, "tpu")
  except Exception as error:  # libtpu's own kinds of errors are not public.
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise UserError(
      f"--topology={topology}: libtpu does not know it ({reason}); expected one such as"
      " v5e:2x2"
    ) from error
  return found.devices[0]


def compiled_step(config: ConfigDict, device: Any) -> jax.stages.Compiled:
  """Compiles one update of one fold for a device that need not be there."""
  here = build_network(config, device_mesh(config.train.batch_size, fold=1, data=1))
  axes = (AxisType.Auto, AxisType.Auto)
  mesh = Mesh(np.array([[device]]), ("fold", "data"), axis_types=axes)
  there = build_network(config, mesh)
  return there.train_steps.lower(*arguments_of(config, here)).compile()


def arguments_of(config: ConfigDict, network: Network) -> tuple[Any, steps.Batches]:
  """Describes the states and the batches of one update: shapes without values."""
  weights = jax.eval_shape(network.draw, jax.random.key(0))
  state = jax.eval_shape(
    lambda weights: steps.new_state(weights, network.optimizer, network.mesh), weights
  )
  folds = network.mesh.shape["fold"]
  batches = {
    name: jax.ShapeDtypeStruct((folds, 1, *like.shape), like.dtype)
    for name, like in batch_shapes(config).items()
  }
  states = jax.eval_shape(network.stack.fill, state)
  states = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), states)
  return states, steps.Batches({}, batches)


def counted(compiled: jax.stages.Compiled) -> dict[str, str]:
  """What XLA counts in a compiled step, in words and units."""
  memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
  size = lambda x: f"{x / 1e9:.3g} GB"  # noqa: E731
  return {
    "arguments (state and batch)": size(memory.argument_size_in_bytes),
    "results": f"{size(memory.output_size_in_bytes)}, of which"
    f" {size(memory.alias_size_in_bytes)} in the arguments' place",
    "scratch space": size(memory.temp_size_in_bytes),
    "program": size(memory.generated_code_size_in_bytes),
    "operations": f"{cost['flops'] / 1e9:.3g} GFLOP",
    "read and written": size(cost["bytes accessed"]),
  }


if __name__ == "__main__":
  exit_with_one_line(main)
