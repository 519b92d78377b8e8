"""What finished runs cost in use: parameters, time a clip, and calibration error.

  python -m infusenet_jax.benchmark.inference runs/student runs/teacher --out=FILE.md

The time is that of a batch of 8 clips of noise, as `predict` shows them to one network:
from crops and flow in memory to logits, magnification included, faces and flow not. The
runs take turns. The calibration error is the expected one of what a run predicted of
clips that it never saw, in percent: before, and after each database by a fit on the
other ones.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from infusenet_jax.benchmark.epoch import time_in_turn
from infusenet_jax.benchmark.machine import machine
from infusenet_jax.benchmark.steps import noise_frames
from infusenet_jax.evaluate.calibration import summary
from infusenet_jax.evaluate.documents import SIMULATED, subtitle
from infusenet_jax.predict.weights.networks import BATCH, Networks, load_run
from infusenet_jax.runtime.devices import keep_freed_memory
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.text import markdown_table
from infusenet_jax.training.trained import TrainedRun, open_run


@dataclass(frozen=True)
class Used:
  """A run, its network's parameters with the frozen ones, and how to call it."""

  run: TrainedRun
  parameters: int
  call: Callable[[int], float]


def open_runs(workdirs: Sequence[Path]) -> dict[str, Used]:
  """Opens runs and makes what is timed, by the runs' names.

  Raises:
    UserError: a run is not finished, or two have one name.
  """
  used = {}
  for workdir in workdirs:
    run = open_run(workdir, "RUN")
    if run.name in used:
      raise UserError(f"two runs are called {run.name}; rename one of the folders")
    networks = load_run(workdir, named="RUN")
    params, frozen, _ = networks.weights[0][0]
    count = sum(x.size for x in jax.tree.leaves((params, frozen)))
    used[run.name] = Used(run, count, _one_network(networks))
  return used


def _one_network(networks: Networks) -> Callable[[int], float]:
  """Makes a call that shows `BATCH` clips of noise to the first network of a run."""
  size = networks.image_size
  shape = (BATCH, size, size, 3)
  noise = np.random.default_rng(0).random(shape, np.float32).astype(np.float16)
  seen = {"flow": noise}
  if networks.needs != ("flow",):
    seen |= noise_frames(networks.config, BATCH)

  def call(_: int) -> float:
    return float(networks.logits(seen, chosen=[0]).sum())

  return call


def table(used: dict[str, Used], repeats: int) -> str:
  """Times the runs in turn; lays all of it out as Markdown."""
  timings = time_in_turn({name: of.call for name, of in used.items()}, repeats)
  heading = ["run", "network", "parameters", "ms a clip", "quartiles"]
  lines = [[*heading, "calibration error before", "after"]]
  for name, of in used.items():
    timing, errors = timings[name], ["-", "-"]
    each = [1e3 * x / BATCH for x in (timing.median, timing.low, timing.high)]
    if of.run.predictions is not None and len(set(of.run.predictions.database)) > 1:
      found = summary(of.run.predictions)
      errors = [f"{100 * found[when]['error']:.1f}" for when in ("before", "after")]
    model = of.run.config.model.name
    low_high = f"{each[1]:.2f}-{each[2]:.2f}"
    lines.append(
      [name, model, f"{of.parameters:,}", f"{each[0]:.2f}", low_high, *errors]
    )
  about, data = (
    machine(),
    SIMULATED if any(x.run.simulated for x in used.values()) else "",
  )
  return "\n".join(
    [
      f"## {subtitle('What runs cost in use', data)}",
      "",
      f"{about['count']} x {about['device']}, {about['threads']} threads, jax "
      f"{about['versions']['jax']}; {repeats} batches of {BATCH} clips of noise each.",
      "",
      markdown_table(lines, numbers=False),
      "",
    ]
  )


def main(arguments: Sequence[str] | None = None) -> None:
  """The command; its --help explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.benchmark.inference",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="workdirs")
  parser.add_argument("--repeats", type=int, default=20, help="batches (default 20)")
  parser.add_argument(
    "--out", type=Path, metavar="FILE", help="write the Markdown here"
  )
  options = parser.parse_args(arguments)
  if options.repeats < 1:
    raise UserError(f"--repeats is {options.repeats}; expected 1 or more")
  keep_freed_memory()
  text = table(open_runs(options.runs), options.repeats)
  print(text, end="")
  if options.out:
    write_atomically(options.out, text)


if __name__ == "__main__":
  exit_with_one_line(main)
