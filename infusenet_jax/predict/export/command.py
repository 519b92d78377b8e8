"""Writes trained networks as one file that runs without this package.

    python -m infusenet_jax.predict.export --run RUN --out model.stablehlo

From aligned crops and flow to calibrated probabilities of AUs: the mean of all networks
of a run, or the networks that ship. The file needs JAX and flatbuffers alone and runs
on CPUs, CUDA GPUs and TPUs. Its description is beside it, in FILE.json. docs/export.md
says what goes in and what comes out.
"""

import argparse
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import absl.logging
import jax
import numpy as np

from infusenet_jax.predict.export.artefact import (
  description_of,
  loading,
  read_artefact,
  write_artefact,
)
from infusenet_jax.predict.export.program import Program, make_program
from infusenet_jax.predict.findings import SIMULATED_WEIGHTS
from infusenet_jax.predict.show.outputs import make_folder
from infusenet_jax.predict.weights import networks as trained
from infusenet_jax.predict.weights.networks import Networks
from infusenet_jax.runtime.devices import keep_compiled
from infusenet_jax.runtime.errors import OneLineParser, UserError

SUFFIX = ".stablehlo"
_CLIPS = 4  # That the written file is asked about, beside this package.


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; `python -m infusenet_jax.predict.export --help` explains it."""
  options = _parser().parse_args(arguments)
  out = options.out
  if out.suffix.lower() != SUFFIX:
    raise UserError(
      f"--out {out}: ends in {out.suffix or 'nothing'}; expected {SUFFIX}"
    )
  _make_folder(out)
  absl.logging.set_verbosity(absl.logging.FATAL)
  keep_compiled()
  networks = trained.load_run(options.run) if options.run else trained.shipped()
  program = make_program(networks)
  size = write_artefact(program, networks, out)
  ask, lines = read_artefact(out), loading(out, program)
  count = len(networks.members)
  kind = "calibrated" if networks.calibration else "not calibrated"
  print(
    f"Written to {out}: {size / 1e6:.1f} MB, {count} network{'s' * (count != 1)},"
    f" {kind}; {description_of(out).name} describes it"
  )
  apart, seconds = compare(networks, program, ask)
  print(
    f"Asked about {_CLIPS} clips of noise it differs from this package by at most"
    f" {apart:.0e} in probability; {1000 * seconds / _CLIPS:.0f} ms a clip here"
  )
  if networks.card.get("simulated"):
    print(SIMULATED_WEIGHTS)
  print(f"To use it:\n\n{textwrap.indent(lines, '    ')}", end="")
  return 0


def compare(
  networks: Networks, program: Program, ask: Callable[..., dict]
) -> tuple[float, float]:
  """Compares a written file with the networks that it was made of.

  Args:
    networks: those.
    program: what was written.
    ask: (**inputs) -> outputs, by what reads the file.

  Returns:
    The largest difference of a probability, and seconds for one call.
  """
  given = noise(program, _CLIPS)
  expected = networks.probabilities(**_as_networks_take(given))
  found = np.asarray(ask(**given)["probabilities"])  # Compiles.
  start = time.monotonic()
  jax.block_until_ready(ask(**given))
  return float(np.abs(found - expected).max()), time.monotonic() - start


def noise(program: Program, count: int) -> dict[str, np.ndarray]:
  """Inputs for `count` clips: frames of noise, and flow of about a pixel."""
  rng = np.random.default_rng(0)
  return {
    name: rng.integers(0, 256, (count, *shape), np.uint8)
    if dtype == np.uint8
    else rng.normal(0, 1, (count, *shape)).astype(dtype)
    for name, (shape, dtype) in program.inputs.items()
  }


def _as_networks_take(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Networks that look at flow alone are shown frames all the same."""
  flow = given["flow"]
  blank = np.zeros((*flow.shape[:3], 3), np.uint8)
  return {"onset": blank, "apex": blank} | given


def _make_folder(out: Path) -> None:
  if out.is_dir():
    raise UserError(f"--out {out}: is a folder; name a file in it")
  make_folder(out.parent)


def _parser() -> argparse.ArgumentParser:
  parser = OneLineParser(
    prog="python -m infusenet_jax.predict.export",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("--run", type=Path, help="a finished run's folder (default: weights that ship)")
  add(
    "--out",
    type=Path,
    default=Path("model.stablehlo"),
    metavar="FILE",
    help="ends in .stablehlo (default: model.stablehlo)",
  )
  return parser
