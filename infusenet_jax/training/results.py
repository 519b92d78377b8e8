"""What is kept of a trained fold for the report, and a run's results."""

import io
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate import run
from infusenet_jax.evaluate.pictures import read_pictures, sample_numbers
from infusenet_jax.evaluate.run import Results
from infusenet_jax.runtime.devices import even_batch, is_main
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.run_files import MAPS
from infusenet_jax.runtime.workdir import versions
from infusenet_jax.training.engine.experiment import Experiment, Job
from infusenet_jax.training.engine.inputs import put_batch
from infusenet_jax.training.engine.saliency import make_saliency
from infusenet_jax.training.engine.steps import TrainState


def read_results(config: ConfigDict, workdir: Path) -> Results:
  """Scores the predictions of all folds that are in `workdir`."""
  return run.read_results(config, workdir, versions())


def read_finished(config: ConfigDict, workdir: Path) -> Results:
  """The results of the finished run in `workdir`; what was deleted is written again."""
  results = read_results(config, workdir)
  results.write_missing()
  return results


def write_results(config: ConfigDict, workdir: Path, clips: Clips) -> Results:
  """Scores the predictions of all folds; writes tables, predictions and report."""
  results = read_results(config, workdir)
  run.write_results(results, workdir, read_pictures(config, workdir, clips))
  return results


def save_maps(experiment: Experiment, job: Job, state: TrainState) -> None:
  """Keeps gates and saliency of the samples among a trained fold's test clips.

  Saliency is that of the logits of all AUs that the clip shows, of all 12 where it
  shows none. The first seed's folds alone have maps. Every process calls this; the
  first one writes maps.npz in the fold's folder.
  """
  config, network, clips = experiment.config, experiment.network, experiment.clips
  numbers = [i for i in sample_numbers(clips) if job.fold.test[i]]
  if not numbers or job.seed != config.seeds[0]:
    return
  rotations = network.rotate(state.weights)
  saliency = make_saliency(network.graph, network.mesh, config.decide_by)
  size = even_batch(1, network.mesh)
  content = {}
  for i in numbers:
    shown = clips.labels[i].astype(np.float32)
    chosen = np.tile(shown if shown.any() else np.ones(len(AUS), np.float32), (size, 1))
    chosen = put_batch({"chosen": chosen}, network.mesh)["chosen"]
    batch = experiment.inputs.take(np.full(size, i))
    for name, maps in saliency(state.weights, rotations, batch, chosen).items():
      if "saliency" in name or "gate" in name:
        content[f"{i} {name}"] = np.asarray(maps)[0].astype(np.float32)
  if is_main():
    file = io.BytesIO()
    np.savez_compressed(file, **content)
    write_atomically(job.folder / MAPS, file.getvalue())
