"""Times a config's compiled steps and whole epochs, and PyTorch's epochs to compare.

  python -m infusenet_jax.benchmark --config=cd6me --config.image_size=112
  python -m infusenet_jax.benchmark --config=cd6me --peer=torch --out=FILE
  python -m infusenet_jax.benchmark --config=cd6me --sweep --profile=DIR

Its clips are noise made in memory, so it needs no database. docs/performance.md says
how each number comes about.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import jax.numpy as jnp
from absl import flags
from ml_collections import ConfigDict

from infusenet_jax.benchmark.epoch import (
  OURS,
  noise_clips,
  our_epoch,
  time_in_turn,
  torch_epochs,
  whole_run,
)
from infusenet_jax.benchmark.machine import machine, peak_memory
from infusenet_jax.benchmark.roofline import DoesNotFit, measure_ceilings
from infusenet_jax.benchmark.steps import Steps, measure_steps, profile
from infusenet_jax.benchmark.tables import (
  STEP_COLUMNS,
  ceilings_line,
  epoch_table,
  step_rows,
  whole_run_line,
)
from infusenet_jax.runtime.command import read_config, run_command, start_log
from infusenet_jax.runtime.devices import keep_freed_memory
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.text import text_table
from infusenet_jax.training.engine.config import check_config, compute_dtype

_OUT = flags.DEFINE_string("out", None, "JSON file for all numbers.")
_PROFILE = flags.DEFINE_string("profile", None, "Folder for a trace of three steps.")
_SWEEP = flags.DEFINE_bool("sweep", False, "Measure other batch sizes and dtypes too.")
_PEER = flags.DEFINE_enum("peer", None, ["torch"], "Time PyTorch's epochs in turn.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timed calls of a step or epoch.", 1)
_STEPS = flags.DEFINE_integer("steps", 8, "Steps of an epoch that is timed.", 1)
_FLAGS = (_OUT, _PROFILE, _SWEEP, _PEER, _REPEATS, _STEPS)
PROG = "python -m infusenet_jax.benchmark"


def main(arguments: Sequence[str]) -> None:
  """Measures what the flags ask for, prints tables and writes the JSON."""
  if arguments[1:]:
    raise UserError(f"{arguments[1]!r} is no flag; try --help")
  config = read_config(("cd6me",))
  start_log()
  keep_freed_memory()
  if _PEER.value:  # Otherwise JAX takes most of a GPU's memory before PyTorch starts.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  results = run(
    config,
    repeats=_REPEATS.value,
    steps=_STEPS.value,
    peer=_PEER.value is not None,
    sweeping=_SWEEP.value,
    trace=_PROFILE.value,
  )
  if _OUT.value:
    write_atomically(_OUT.value, json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {_OUT.value}")


def run(
  config: ConfigDict,
  *,
  repeats: int,
  steps: int,
  peer: bool = False,
  sweeping: bool = False,
  trace: str | None = None,
) -> dict[str, Any]:
  """Prints each table as soon as it is known; returns all numbers, ready for JSON.

  Args:
    config: of task "cd6me".
    repeats: how many calls of each step, and how many epochs, are timed.
    steps: how many steps an epoch that is timed has.
    peer: whether PyTorch's epochs are timed in turn with ours.
    sweeping: whether other batch sizes and dtypes are measured too.
    trace: folder for a profile of a few steps.

  Raises:
    UserError: the config is wrong, its batch does not fit, or PyTorch is missing.
  """
  check_config(config)
  batch_size, dtype = config.train.batch_size, compute_dtype(config.dtype)
  clips = noise_clips(config, steps * batch_size)
  results = {"machine": machine(), "config": json.loads(config.to_json_best_effort())}
  about = results["machine"]
  print(
    f"{about['count']} x {about['device']}, {about['threads']} threads, jax "
    f"{about['versions']['jax']}; load at the start {about['load']:.1f}"
  )
  print(
    f"{config.name}: {config.image_size} px, batch {batch_size}, {dtype}; the clips "
    "are noise made in memory"
  )
  # Before all else, so that minutes are not lost if PyTorch is missing.
  peers = dict(torch_epochs(clips, batch_size)) if peer else {}
  ceilings = measure_ceilings(dtype)
  print(ceilings_line(ceilings) + "\n")
  try:
    measured = measure_steps(config, ceilings, repeats)
  except DoesNotFit as error:
    raise UserError(f"config.train.batch_size is {batch_size}: {error}") from error
  print(text_table([STEP_COLUMNS, *step_rows(measured, batch_size)]))
  results |= {"ceilings": asdict(ceilings), "steps": _as_json(measured, batch_size)}
  if trace:
    profile(measured, trace)
    print(f"\ntrace of three train steps in {trace}; xprof shows it")

  epochs = {OURS: our_epoch(config, measured.network, clips)} | peers
  timings = time_in_turn(epochs, repeats)
  print(f"\n{steps} steps, loading to loss, {repeats} epochs of each in turn")
  seen = dict.fromkeys(timings, len(clips))
  seen[OURS] *= measured.folds  # Each of the folds side by side trains on all clips.
  print(epoch_table(timings, seen))
  results["epochs"] = {
    name: asdict(timing) | {"clips": seen[name]} for name, timing in timings.items()
  }
  whole = whole_run(
    config,
    side_by_side=measured.folds,
    train_seconds=timings[OURS].median / steps,
    eval_seconds=measured.eval.timing.median,
    magnify_seconds=measured.magnify.timing.median if measured.magnify else 0,
  )
  if whole:
    print("\n" + whole_run_line(config, whole))
  results |= {"whole_run": whole, "peak_memory": peak_memory()}
  peak = ", ".join(f"{n / 1e9:.2f} GB ({k})" for k, n in results["peak_memory"].items())
  print(f"peak memory: {peak}")
  if sweeping:
    results["sweep"] = sweep(config, repeats)
  return results


def _as_json(measured: Steps, batch_size: int) -> dict[str, Any]:
  return {
    name: m.as_json() | {"clips": clips}
    for name, (m, clips) in measured.clips(batch_size).items()
  }


def sweep(config: ConfigDict, repeats: int) -> list[dict[str, Any]]:
  """Measures the steps at other batch sizes and dtypes; prints and returns the results.

  For a batch that does not fit, or that the devices cannot share, a line says so.
  """
  found, rows = [], [("dtype", "batch", *STEP_COLUMNS)]
  for dtype in ("float32", "bfloat16"):
    ceilings = measure_ceilings(jnp.dtype(dtype))
    print("\n" + ceilings_line(ceilings))
    for scale in (0.25, 0.5, 1, 2, 4):
      other = config.copy_and_resolve_references()
      size = max(1, round(scale * config.train.batch_size))
      other.dtype, other.train.batch_size = dtype, size
      entry = {"dtype": dtype, "batch_size": size}
      try:
        measured = measure_steps(other, ceilings, repeats)
      except (DoesNotFit, UserError) as error:
        rows.append((dtype, str(size), f"no: {error}"))
        found.append(entry | {"error": str(error)})
        continue
      rows += [(dtype, str(size), *row) for row in step_rows(measured, size)]
      found.append(entry | {"steps": _as_json(measured, size)})
  print(text_table(rows))
  return found


def start() -> None:
  """Runs `main` as a command, with its flags."""
  exit_with_one_line(lambda: run_command(main, PROG, __doc__, _FLAGS))
