"""Trained runs, opened again: what they were trained on, and their networks."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import in_order
from infusenet_jax.clips.prepared import (
  head_of,
  prepared_databases,
  read_metadata,
)
from infusenet_jax.clips.schema import HEADS
from infusenet_jax.evaluate.predictions import Predictions, read_predictions
from infusenet_jax.evaluate.thresholds import thresholds_of
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import read_json
from infusenet_jax.runtime.run_files import (
  CONFIG,
  FOLDS,
  PREDICTIONS,
  RECORDS,
  RESULTS,
  fold_folder,
  results_exist,
)
from infusenet_jax.runtime.workdir import config_differences
from infusenet_jax.training.engine.config import fold_names
from infusenet_jax.training.engine.experiment import (
  CHECKPOINTS,
  blank_state,
  open_checkpoints,
)
from infusenet_jax.training.engine.network import Network, initial_state
from infusenet_jax.training.engine.steps import TrainState

# What may differ between a network and the one that calibrates it.
_MAY_DIFFER = ("config.name ", "config.protocol ", "config.folds ", "config.seeds ")
_TASKS = ("cd6me", "distill")  # Those that keep networks, fold by fold.
_AGAIN = "run the command that began it again, it goes on where it stopped"


@dataclass(frozen=True)
class TrainedRun:
  """A finished workdir of `infusenet_jax.main`.

  Attributes:
    workdir: of the run.
    config: that it was trained with.
    members: (seed, fold) of every network that it holds.
    databases: keys of those that it was trained on, in order.
    simulated: whether any of their clips are.
    predictions: of the clips that each network never saw; None where nothing was left
      out.
  """

  workdir: Path
  config: ConfigDict
  members: tuple[tuple[int, str], ...]
  databases: tuple[str, ...]
  simulated: bool
  predictions: Predictions | None

  @property
  def name(self) -> str:
    """What people call it: its folder's name."""
    return self.workdir.absolute().name

  def states(self, network: Network) -> Iterator[TrainState]:
    """The state of each of `members`, in their order.

    Raises:
      UserError: a checkpoint is missing or damaged, or does not fit the network.
    """
    if not self.config.train.epochs:  # Its weights file was tested as it is.
      for seed, _ in self.members:
        yield initial_state(self.config, network, seed)
      return
    like = blank_state(network)
    for seed, fold in self.members:
      yield restore(self.workdir, seed, fold, like)


def open_run(workdir: str | Path, named: str = "--run") -> TrainedRun:
  """Opens a finished run of networks.

  Args:
    workdir: its folder.
    named: the flag that named it, for errors.

  Raises:
    UserError: no run is there, or none of networks, or it is not finished.
  """
  workdir = Path(workdir)
  advice = f"{named} takes a workdir of `python -m infusenet_jax.main`"
  config = ConfigDict(read_json(workdir / CONFIG, advice))
  if (task := config.get("task")) not in _TASKS:
    raise UserError(
      f"{workdir / CONFIG}: config.task is {task!r}, which keeps no networks; expected "
      f"{' or '.join(map(repr, _TASKS))}: {advice}"
    )
  identity = read_json(workdir / RECORDS, advice)
  if not results_exist(workdir):
    raise _unfinished(workdir, config, list(identity))
  if config.protocol == "all":
    results = read_json(workdir / RESULTS, _AGAIN)
    return TrainedRun(
      workdir,
      config,
      members=tuple((seed, "all") for seed in config.seeds),
      databases=tuple(in_order([*identity, *results.get("clips", ())])),
      simulated=bool(results.get("simulated")),
      predictions=None,
    )
  predictions = read_predictions([workdir / PREDICTIONS])
  pairs = zip(predictions.seed.tolist(), predictions.fold.tolist(), strict=True)
  seen = predictions.database.tolist()
  if config.protocol == "cd6me":  # Else those without a fold were not trained on.
    seen += identity
  return TrainedRun(
    workdir,
    config,
    members=tuple(dict.fromkeys(pairs)),
    databases=tuple(in_order(seen)),
    simulated=predictions.simulated,
    predictions=predictions,
  )


@dataclass(frozen=True)
class Made:
  """How the records were made that a network was trained on.

  Attributes:
    size: pixels of their crops.
    flow: one of `data_prep`'s kinds of flow, or "arrays" of a licensee's own.
    strain: one of `clips.strain.STRAINS`, or "arrays".
    head: one of `clips.schema.HEADS`.
    one_kind: whether it is known that all clips are simulated, or that none is.
  """

  size: int
  flow: str = "infusenet"
  strain: str = "textbook"
  head: str = HEADS[0]
  one_kind: bool = True


def records_made(config: ConfigDict) -> Made:
  """How a run's records were made; as by default where they are gone."""
  if not config.data_dir:
    return Made(config.record_size, head=head_of(config.simulated))
  try:
    found = [read_metadata(x) for x in prepared_databases(config.data_dir).values()]
  except UserError:
    found = []
  if not found:
    return Made(config.image_size, one_kind=False)
  first = found[0]
  return Made(
    size=first.get("size", config.image_size),
    flow=first.get("flow", Made.flow),
    strain=first.get("strain", Made.strain),
    head=first["head"],
    one_kind=len({metadata["simulated"] for metadata in found}) == 1,
  )


def _unfinished(workdir: Path, config: ConfigDict, databases: list[str]) -> UserError:
  """The error of a run without results, which names the folds that are missing."""
  expected = {
    "all": ["all"],
    "cd6me": fold_names(config) or in_order(databases),
  }.get(config.protocol)
  if expected is None:  # Only the records tell the subjects.
    count = len(list((workdir / FOLDS).glob(f"seed*-*/{PREDICTIONS}")))
    lacks = f"{count} of its folds are there"
  else:
    missing = [
      f"{fold} of seed {seed}"
      for seed in config.seeds
      for fold in expected
      if not (fold_folder(workdir, seed, fold) / PREDICTIONS).exists()
    ]
    lacks = f"missing: {', '.join(missing) or 'results.md alone'}"
  return UserError(f"{workdir}: this run is not finished ({lacks}); {_AGAIN}")


def restore(workdir: Path, seed: int, fold: str, like: TrainState) -> TrainState:
  """The state of a trained fold, placed as `like` is.

  Where thresholds were fitted for the fold they are in its last bias, so that > 0
  decides at them, as in its predictions.

  Raises:
    UserError: there is no checkpoint, or none that can be read and fits `like`.
  """
  folder = fold_folder(workdir, seed, fold)
  state = None
  if (folder / CHECKPOINTS).is_dir():
    with contextlib.closing(open_checkpoints(folder, seed, fold)) as checkpoints:
      state = checkpoints.restore(like)
  if state is None:
    raise UserError(
      f"{folder / CHECKPOINTS}: no checkpoint of this fold and seed; name one that the "
      "run has trained, or train it again"
    )
  thresholds = thresholds_of(folder)
  return state if thresholds is None else _with_thresholds(state, thresholds)


def _with_thresholds(state: TrainState, thresholds: np.ndarray) -> TrainState:
  """Subtracts thresholds (12,) from the bias of the head's last linear layer."""
  flat = dict(nnx.to_flat_state(state.params))
  biases = [path for path in flat if path[0] == "head" and path[-1] == "bias"]
  last = max(biases, key=lambda path: [x for x in path if isinstance(x, int)])
  value = flat[last].get_value()
  flat[last] = flat[last].replace(value - jnp.asarray(thresholds, value.dtype))
  return state._replace(params=nnx.from_flat_state(flat))


def check_twin(run: TrainedRun, twin: TrainedRun) -> None:
  """Raises UserError unless `twin` is the network of `run` with databases left out."""
  kept = json.loads(twin.config.to_json_best_effort())
  differences = [
    line
    for line in config_differences(kept, run.config)
    if not line.startswith(_MAY_DIFFER)
  ]
  if differences:
    raise UserError(
      f"--calibration-run {twin.workdir}: is another network ({differences[0]}); "
      "expected the config of --run, with databases left out"
    )
