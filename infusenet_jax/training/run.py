"""One run of a protocol: every seed and fold trained, predicted and put into tables."""

import contextlib
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from infusenet_jax.clips.labels import in_order
from infusenet_jax.clips.prepared import (
  find_records,
  records_identity,
  require_frames,
  require_offset,
  without_head,
)
from infusenet_jax.clips.records import Clips, load_clips
from infusenet_jax.evaluate.predictions import read_predictions, write_predictions
from infusenet_jax.evaluate.protocol import folds, pairs
from infusenet_jax.evaluate.thresholds import (
  decided_at,
  fit_thresholds,
  write_thresholds,
)
from infusenet_jax.runtime.devices import device_mesh, is_main, wait_for_all
from infusenet_jax.runtime.preemption import catch_signals
from infusenet_jax.runtime.run_files import (
  AND,
  PREDICTIONS,
  fold_folder,
  left_out,
  results_exist,
)
from infusenet_jax.runtime.text import duration
from infusenet_jax.runtime.workdir import claim, keep_config
from infusenet_jax.training.engine.config import (
  check_config,
  fits_thresholds,
  fold_names,
  sees_frames,
  sees_offset,
)
from infusenet_jax.training.engine.experiment import (
  Experiment,
  Job,
  make_experiment,
  make_job,
  seconds_per_step,
)
from infusenet_jax.training.engine.folds import train_folds
from infusenet_jax.training.engine.losses import Objective
from infusenet_jax.training.engine.network import Network, build_network
from infusenet_jax.training.engine.steps import TrainState
from infusenet_jax.training.results import (
  Results,
  read_finished,
  save_maps,
  write_results,
)
from infusenet_jax.training.simulated import (
  clips_expected,
  make_records,
  records_folder,
  say_if_simulated,
)
from infusenet_jax.training.untested import Untested, read_untested, write_untested

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Records:
  """The clips of a run, and what each database's records were made from."""

  clips: Clips
  identity: dict[str, str]


Load = Callable[[ConfigDict], Records]


def train_and_evaluate(
  config: ConfigDict,
  workdir: str | Path,
  load: Load | None = None,
  objective: Objective | None = None,
) -> Results | Untested | None:
  """Trains and tests every fold of every seed, and writes the tables.

  With protocol "all" a single network of each seed is trained on every clip, and there
  are no tables. Running it again resumes: finished folds are kept as they are in
  `workdir`, and the one that was interrupted goes on from its newest checkpoint.

  Args:
    config: of a task that trains networks fold by fold.
    workdir: folder of the run.
    load: where the clips come from; `load_records` by default.
    objective: what is minimised; the loss that the config names by default.

  Returns:
    The scored results, or what was trained where nothing was tested; None in all
    processes but the first.

  Raises:
    UserError: something about the config, the data or the workdir to be put right.
    Preempted: SIGTERM came; the state is saved. After Ctrl-C it is too.
  """
  check_config(config)
  if config.data_dir and load is None:
    find_records(config.data_dir)  # Said now, not after the network is compiled.
  mesh = device_mesh(config.train.batch_size, **config.mesh)
  tests = config.protocol != "all"
  with claim(workdir, config) as folder:
    if results_exist(folder):
      _log.info("%s holds this run, finished; here are its tables again", folder)
      read = read_finished if tests else read_untested
      return read(config, folder) if is_main() else None
    if load is None:
      say_if_simulated(config)
    warn_of_large_batch(config)
    _log.info("compiling the network, which usually takes 10 to 60 s")
    network = build_network(config, mesh, objective=objective)
    say_time_needed(config, network, folder)
    if sees_frames(config):
      require_frames(records_folder(config))
    if sees_offset(config):
      require_offset(records_folder(config))
    records = (load or load_records)(config)
    keep_config(folder, config, records.identity)
    train(config, network, records.clips, folder)
    write = write_results if tests else write_untested
    return write(config, folder, records.clips) if is_main() else None


def load_records(config: ConfigDict) -> Records:
  """Reads the records that a config names, or makes and reads simulated ones.

  Raises:
    UserError: they cannot be read or made.
  """
  if is_main():
    make_records(config)
  wait_for_all("the records are there")
  data_dir = records_folder(config)
  if without := without_head(data_dir):
    _log.info(
      "the head's own motion was removed from records of %s", ", ".join(without)
    )
  return Records(load_clips(data_dir, config.image_size), records_identity(data_dir))


def train(config: ConfigDict, network: Network, clips: Clips, workdir: Path) -> None:
  """Trains the folds and seeds that are not finished and writes their predictions.

  Folds that leave two databases out come first, where thresholds are fitted on them.
  """
  every = folds(config.protocol, clips.database, clips.subject, fold_names(config))
  groups = [every]
  if fits_thresholds(config):
    groups.insert(0, pairs(clips.database, [fold.name for fold in every]))
  experiment = None
  for group in groups:
    jobs = [make_job(workdir, seed, fold) for seed in config.seeds for fold in group]
    jobs = [job for job in jobs if not (job.folder / PREDICTIONS).exists()]
    wait_for_all("what is to do is known")
    if not jobs:
      continue
    experiment = experiment or make_experiment(config, network, clips)
    with (
      catch_signals() as signals,
      contextlib.closing(train_folds(experiment, jobs, signals)) as trained,
    ):
      for job, state in trained:
        finish(experiment, job, state, workdir)


def finish(experiment: Experiment, job: Job, state: TrainState, workdir: Path) -> None:
  """Predicts a trained fold's test clips and writes what is kept of it."""
  predictions = experiment.predictions(job, state)
  fold = job.fold.name
  is_pair = len(left_out(fold)) > 1
  if not is_pair:
    save_maps(experiment, job, state)
  if not is_main():
    return
  if fits_thresholds(experiment.config) and not is_pair:
    names = [x.name for x in pairs(experiment.clips.database, [fold])]
    paths = [fold_folder(workdir, job.seed, name) / PREDICTIONS for name in names]
    thresholds = fit_thresholds(read_predictions(paths), fold)
    write_thresholds(job.folder, fold, job.seed, thresholds)
    predictions = decided_at(predictions, thresholds)
  # Last, since it marks the fold as finished, even without a row.
  write_predictions(job.folder / PREDICTIONS, predictions)


def warn_of_large_batch(config: ConfigDict) -> None:
  """Warns where a batch holds more clips than there are to train on."""
  counts, size = clips_expected(config), config.train.batch_size
  most = sum(counts.values())
  if config.protocol == "cd6me" and len(counts) > 1:
    most -= min(counts[name] for name in fold_names(config) or counts if name in counts)
  if size > most:
    _log.warning(
      "config.train.batch_size is %d, but there are at most %d clips to train on: an "
      "epoch is a single step, its batch filled up with clips that count nothing; a "
      "batch of %d or less does the same in less time",
      size,
      most,
      most,
    )


def say_time_needed(config: ConfigDict, network: Network, workdir: Path) -> None:
  """Logs an estimate of the training time, from one measured step.

  It comes before the data are even made, from how many clips there will be.
  """
  counts = clips_expected(config)
  total = sum(counts.values())
  if config.protocol == "all":
    trained_on = {"all": total}
  elif config.protocol == "cd6me":
    chosen = fold_names(config) or counts
    tested = [(fold,) for fold in chosen if fold in counts]
    if fits_thresholds(config):
      both = itertools.combinations(in_order(counts), 2)
      tested += [pair for pair in both if set(pair) & set(chosen)]
    trained_on = {
      AND.join(keys): total - sum(counts[key] for key in keys) for keys in tested
    }
  else:  # Only the records tell its folds.
    return
  steps = sum(
    -(-size // config.train.batch_size)
    for seed in config.seeds
    for fold, size in trained_on.items()
    if not (fold_folder(workdir, seed, fold) / PREDICTIONS).exists()
  )
  if not steps * config.train.epochs:
    return
  seconds = seconds_per_step(config, network, total)
  side_by_side = network.mesh.shape["fold"]
  _log.info(
    "measured %.2f s per training step%s: %d clips and %d steps still to train take "
    "about %s (without preparing data and testing)",
    seconds,
    f" of {side_by_side} folds side by side" if side_by_side > 1 else "",
    total,
    steps * config.train.epochs,
    duration(steps * config.train.epochs * seconds / side_by_side),
  )
