"""Times whole epochs, ours and PyTorch's in turn, on clips of noise."""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.benchmark.machine import threads
from infusenet_jax.benchmark.roofline import Timing, summary
from infusenet_jax.benchmark.steps import noise_frames
from infusenet_jax.clips.labels import AUS, DATABASES
from infusenet_jax.clips.records import Clips
from infusenet_jax.clips.schema import FRAMES
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine.config import fold_names
from infusenet_jax.training.engine.experiment import make_experiment
from infusenet_jax.training.engine.network import Network
from infusenet_jax.training.engine.schedule import epoch_batches
from infusenet_jax.training.simulated import clips_expected

OURS = "infusenet_jax"

# A function that runs one epoch, in an order drawn from a number, and returns its loss.
Epoch = Callable[[int], float]


def noise_clips(config: ConfigDict, count: int) -> Clips:
  """Makes clips of noise in memory, in the form that `load_clips` returns."""
  rng = np.random.default_rng(0)
  names = np.array([f"noise{i}" for i in range(count)])
  shape = (count, config.image_size, config.image_size, 3)
  return Clips(
    **noise_frames(config, count),
    flow=rng.random(shape, np.float32).astype(np.float16),
    flow_range=np.tile(np.float32([[[0], [1]]]), (count, 1, 3)),
    labels=rng.integers(0, 2, (count, len(AUS)), np.uint8),
    database=np.resize(list(DATABASES), count),
    subject=names,
    clip=names,
    simulated=True,
  )


def our_epoch(config: ConfigDict, network: Network, clips: Clips) -> Epoch:
  """Makes a function that trains an epoch as `train_folds` does, but saves nothing."""
  batch_size, folds = config.train.batch_size, network.mesh.shape["fold"]
  experiment = make_experiment(config, network, clips)
  inputs = experiment.inputs
  states = network.stack.fill(experiment.initial_state(config.seeds[0]))
  every, told = np.arange(len(clips)), network.objective.stand_in(len(clips))

  def epoch(number: int) -> float:
    nonlocal states
    batches = list(epoch_batches(every, batch_size, [number]))
    streams = [
      iter(inputs.stream(batches.__getitem__, 0, len(batches), told))
      for _ in range(folds)
    ]
    for _ in range(0, len(batches), inputs.steps_per_dispatch):
      drawn = [list(islice(s, inputs.steps_per_dispatch)) for s in streams]
      states, _ = network.train_steps(states, inputs.join(drawn))
    return float(network.stack.progress(states)[0][0])

  return epoch


def torch_epochs(clips: Clips, batch_size: int) -> Iterator[tuple[str, Epoch]]:
  """Yields PyTorch's epochs by name: as published; with its magnifier frozen; compiled.

  The compiled one is only there on a GPU.

  Raises:
    UserError: PyTorch cannot be imported.
  """
  try:
    import torch
  except ImportError as error:
    raise UserError(
      f"--peer=torch: PyTorch cannot be imported ({error}); "
      "pip install 'infusenet_jax[torch]'"
    ) from error
  from infusenet_jax.benchmark.pytorch.training import Trainer, fastest_layout

  torch.set_num_threads(threads())
  arrays = {name: getattr(clips, name) for name in ("flow", "labels", *FRAMES)}
  for name, frozen in (("as published", False), ("magnifier frozen, no_grad", True)):
    trainer = fastest_layout(arrays, batch_size, frozen_magnifier=frozen)
    layout = "NHWC" if trainer.format is torch.channels_last else "NCHW"
    yield f"PyTorch {name} ({layout})", trainer.epoch
  if torch.cuda.is_available():
    how = {"frozen_magnifier": False, "channels_last": True, "fast": True}
    trainer = Trainer(arrays, batch_size, **how)
    yield "PyTorch as published, torch.compile, NHWC, bfloat16", trainer.epoch


def time_in_turn(epochs: dict[str, Epoch], repeats: int) -> dict[str, Timing]:
  """Times one epoch of each in turn, and this `repeats` times.

  Taken in turn, all of them suffer alike from other work on the machine. A round that
  is not timed comes first.
  """
  seconds = {name: [] for name in epochs}
  for number in range(repeats + 1):
    for name, epoch in epochs.items():
      start = time.perf_counter()
      epoch(number)
      seconds[name].append(time.perf_counter() - start)
  return {name: summary(each[1:]) for name, each in seconds.items()}


def whole_run(
  config: ConfigDict,
  *,
  side_by_side: int,
  train_seconds: float,
  eval_seconds: float,
  magnify_seconds: float,
) -> dict[str, Any] | None:
  """Estimates the seconds of a whole CD6ME run, from the seconds of single steps.

  It counts all folds, epochs and seeds of `config`, on the clips in its records or else
  of the published databases. Preparing data, compiling and checkpoints are left out.

  Args:
    config: of the run.
    side_by_side: how many folds are trained at once.
    train_seconds, eval_seconds, magnify_seconds: of one step of each kind.

  Returns:
    The counts and seconds by name; None for another protocol, whose folds are only
    known from the records.
  """
  if config.protocol != "cd6me":
    return None
  counts, batch_size = clips_expected(config), config.train.batch_size
  total = sum(counts.values())
  folds = [fold for fold in fold_names(config) or counts if fold in counts]
  seeds = len(config.seeds)

  def batches(clips: int) -> int:
    return -(-clips // batch_size)

  steps = sum(batches(total - counts[fold]) for fold in folds)
  steps *= config.train.epochs * seeds
  tests = sum(batches(counts[fold]) for fold in folds) * seeds
  parts = {
    "train": steps * train_seconds / side_by_side,
    "test": tests * eval_seconds,
    "magnify": batches(total) * magnify_seconds,
  }
  about = {"clips": total, "folds": len(folds), "seeds": seeds, "steps": steps}
  return about | parts | {"total": sum(parts.values())}
