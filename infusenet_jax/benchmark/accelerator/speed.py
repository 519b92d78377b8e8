"""How fast: steps, PyTorch's, flow, latents, and from them a whole run."""

import time
from dataclasses import asdict, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from infusenet_jax.benchmark.accelerator.kernels import trace_kernels
from infusenet_jax.benchmark.accelerator.sizes import Sizes
from infusenet_jax.benchmark.epoch import (
  OURS,
  noise_clips,
  our_epoch,
  time_in_turn,
  torch_epochs,
  whole_run,
)
from infusenet_jax.benchmark.machine import peak_memory
from infusenet_jax.benchmark.roofline import (
  DoesNotFit,
  measure_ceilings,
  summary,
  time_calls,
)
from infusenet_jax.benchmark.steps import measure_steps
from infusenet_jax.clips.flow.optical_flow import optical_flow
from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.training.engine.config import compute_dtype
from infusenet_jax.training.engine.experiment import make_experiment
from infusenet_jax.training.engine.network import build_network


def steps(sizes: Sizes, dtype: str) -> dict[str, Any]:
  """Train, eval and magnify by batch size: time, roofline, memory, kernels, gaps.

  A batch that does not fit is said to.
  """
  ceilings = measure_ceilings(jnp.dtype(dtype))
  found: dict[str, Any] = {"ceilings": asdict(ceilings), "dtype": dtype, "batches": []}
  for batch_size in sizes.batches:
    config = sizes.config(dtype, batch_size)
    try:
      measured = measure_steps(config, ceilings, sizes.repeats)
    except DoesNotFit as error:
      found["batches"].append({"batch_size": batch_size, "missing": str(error)})
      continue
    kernels = trace_kernels(measured.train_once, 3)
    found["batches"].append(
      {
        "batch_size": batch_size,
        "steps": {
          name: m.as_json() | {"clips": clips}
          for name, (m, clips) in measured.clips(batch_size).items()
        },
        "kernels": asdict(kernels) if kernels else None,
        "peak_memory": peak_memory(),
      }
    )
  return found


def peers(sizes: Sizes) -> dict[str, Any]:
  """Epochs of so many steps, ours and PyTorch's in turn, at the recipe's batch."""
  config = sizes.config()
  batch_size = config.train.batch_size
  clips = noise_clips(config, sizes.epoch_steps * batch_size)
  others = dict(torch_epochs(clips, batch_size))
  network = build_network(config, device_mesh(batch_size, **config.mesh))
  ours = f"{OURS}, {compute_dtype(config.dtype)}"
  epochs = {ours: our_epoch(config, network, clips)} | others
  timings = time_in_turn(epochs, max(2, sizes.repeats // 4))
  each = {name: timing.median / sizes.epoch_steps for name, timing in timings.items()}
  return {
    "batch_size": batch_size,
    "epoch_steps": sizes.epoch_steps,
    "epochs": {
      name: asdict(timing)
      | {"step_seconds": each[name], "times_ours": each[name] / each[ours]}
      for name, timing in timings.items()
    },
  }


def flow(sizes: Sizes) -> dict[str, Any]:
  """Pairs of frames a second, by how many are computed at once."""
  rng, found = np.random.default_rng(0), []
  for count in sizes.pairs:
    shape = (count, sizes.pixels, sizes.pixels)
    first, second = (
      jnp.asarray(rng.integers(0, 256, shape), jnp.float32) for _ in "ab"
    )
    timing = time_calls(lambda a=first, b=second: optical_flow(a, b), sizes.repeats)
    found.append(
      asdict(timing) | {"pairs": count, "each_second": count / timing.median}
    )
  return {"pixels": sizes.pixels, "batches": found}


def latents(sizes: Sizes) -> dict[str, Any]:
  """Seconds in which a frozen magnifier's part of all clips is computed and placed."""
  config = sizes.config()
  clips = noise_clips(config, sizes.clips)
  network = build_network(config, device_mesh(config.train.batch_size, **config.mesh))
  seconds = []
  for _ in range(2):  # The first time compiles.
    start = time.perf_counter()
    jax.block_until_ready(make_experiment(config, network, clips).inputs.arrays)
    seconds.append(time.perf_counter() - start)
  compiling, again = seconds
  return {"clips": len(clips), "first_seconds": compiling, "seconds": again}


def epoch(sizes: Sizes) -> dict[str, Any]:
  """An epoch of one fold as a run trains it, and from it the time of whole runs."""
  config = sizes.config()
  batch_size = config.train.batch_size
  fold_clips = sizes.clips * (len(DATABASES) - 1) // len(DATABASES)
  clips = noise_clips(config, fold_clips)
  network = build_network(config, device_mesh(batch_size, **config.mesh))
  run = our_epoch(config, network, clips)
  seconds = []
  for number in range(4):  # The first compiles.
    start = time.perf_counter()
    run(number)
    seconds.append(time.perf_counter() - start)
  timing = summary(seconds[1:])
  count = -(-fold_clips // batch_size)
  kernels = trace_kernels(lambda: run(5), 1)
  measured = measure_steps(config, measure_ceilings(compute_dtype(config.dtype)), 3)
  return {
    "clips": fold_clips,
    "steps": count,
    "first_seconds": seconds[0],
    "epoch": asdict(timing),
    "step_seconds": timing.median / count,
    "kernels": asdict(replace(kernels, count=kernels.count / count))
    if kernels
    else None,
    "runs": [
      whole_run(
        _with_seeds(config, seeds),
        side_by_side=1,
        train_seconds=timing.median / count,
        eval_seconds=measured.eval.timing.median,
        magnify_seconds=measured.magnify.timing.median,
      )
      for seeds in (1, 5)
    ],
  }


def _with_seeds(config, seeds: int):
  config = config.copy_and_resolve_references()
  config.seeds = config.seeds[:seeds]
  return config
