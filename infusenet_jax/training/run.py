"""One run of a protocol: every seed and fold trained, predicted and put into tables."""

import logging
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from infusenet_jax.clips.records import Clips, load_clips, records_identity
from infusenet_jax.evaluate.predictions import Predictions, write_predictions
from infusenet_jax.evaluate.protocol import Fold, folds
from infusenet_jax.runtime.devices import (
  device_mesh,
  is_main,
  wait_for_all,
)
from infusenet_jax.runtime.preemption import catch_signals
from infusenet_jax.runtime.text import duration
from infusenet_jax.runtime.workdir import claim, fold_folder, keep_config, results_exist
from infusenet_jax.training.engine.config import check_config, fold_names
from infusenet_jax.training.engine.course import Course
from infusenet_jax.training.engine.folds import predict, train_folds
from infusenet_jax.training.engine.inputs import (
  input_arrays,
  make_inputs,
)
from infusenet_jax.training.engine.network import (
  Network,
  build_network,
  initial_state,
  seconds_per_step,
)
from infusenet_jax.training.engine.steps import TrainState
from infusenet_jax.training.results import print_results, write_results
from infusenet_jax.training.samples import save_maps
from infusenet_jax.training.simulated import (
  clips_expected,
  make_records,
  records_folder,
)

_log = logging.getLogger(__name__)

PREDICTIONS = "predictions.csv"


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> None:
  """Trains and tests every fold of every seed, and writes and prints the tables.

  Running it again resumes: finished folds are kept as they are in `workdir`, and the
  one that was interrupted goes on from its newest checkpoint.

  Raises:
    UserError: something about the config, the data or the workdir to be put right.
    Preempted: SIGTERM came; the state is saved. After Ctrl-C it is too.
  """
  check_config(config)
  mesh = device_mesh(config.train.batch_size, **config.mesh)
  with claim(workdir, config) as workdir:
    if results_exist(workdir):
      _log.info("%s holds this run, finished; here are its tables again", workdir)
      if is_main():
        print_results(config, workdir)
      return
    _log.info("compiling the network, which usually takes 10 to 60 s")
    network = build_network(config, mesh)
    say_time_needed(config, network, workdir)

    state = initial_state(config, network, config.seeds[0])
    if is_main():
      make_records(config)
    wait_for_all("the records are there")
    data_dir = records_folder(config)
    clips = load_clips(data_dir, config.image_size)
    every = folds(config.protocol, clips.database, clips.subject, fold_names(config))
    keep_config(workdir, config, records_identity(data_dir))
    todo = [
      (fold, seed, fold_folder(workdir, seed, fold.name))
      for seed in config.seeds
      for fold in every
    ]
    todo = [job for job in todo if not (job[-1] / PREDICTIONS).exists()]
    wait_for_all("what is to do is known")
    if todo:
      arrays = input_arrays(config, network, state, clips)
      inputs = make_inputs(arrays, config.train.batch_size, mesh)
      courses = [Course(config, *job) for job in todo]
      steps = sum(course.steps for course in courses)

      def test(course: Course, state: TrainState) -> None:
        logits = predict(config, network, state, inputs, course.fold)
        save_maps(config, network, inputs, clips, course, state)
        if is_main():
          path = course.folder / PREDICTIONS
          save_predictions(path, clips, course.fold, course.seed, logits)

      bar = tqdm(
        total=steps, unit="step", mininterval=1, miniters=1, disable=not is_main()
      )
      with bar, catch_signals() as signals:
        train_folds(config, network, inputs, clips, courses, bar, signals, test)
    if is_main():
      write_results(config, workdir, clips)
      print_results(config, workdir)


def save_predictions(
  path: Path, clips: Clips, fold: Fold, seed: int, logits: np.ndarray
) -> None:
  """Writes the predictions of one fold, which marks it as finished."""
  count = len(logits)
  write_predictions(
    path,
    Predictions(
      database=clips.database[fold.test],
      subject=clips.subject[fold.test],
      clip=clips.clip[fold.test],
      fold=np.full(count, fold.name),
      seed=np.full(count, seed),
      logits=logits,
      labels=clips.labels[fold.test],
      simulated=clips.simulated,
    ),
  )


def say_time_needed(config: ConfigDict, network: Network, workdir: Path) -> None:
  """Logs an estimate of the training time, from one measured step.

  It comes before the data are even made, from how many clips there will be.
  """
  counts = clips_expected(config)
  steps = sum(
    -(-(sum(counts.values()) - counts[fold]) // config.train.batch_size)
    for seed in config.seeds
    for fold in fold_names(config) or counts
    if fold in counts
    and not (workdir / "folds" / f"seed{seed}-{fold}" / PREDICTIONS).exists()
  )
  if config.protocol != "cd6me" or not steps:
    return
  seconds, side_by_side = seconds_per_step(config, network), network.mesh.shape["fold"]
  _log.info(
    "measured %.2f s per training step%s: %d clips and %d steps still to train take "
    "about %s (without preparing data and testing)",
    seconds,
    f" of {side_by_side} folds side by side" if side_by_side > 1 else "",
    sum(counts.values()),
    steps * config.train.epochs,
    duration(steps * config.train.epochs * seconds / side_by_side),
  )
