"""From the predictions in a workdir to its tables and report."""

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import AUS, CLIPS
from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate.documents import About
from infusenet_jax.evaluate.predictions import (
  Predictions,
  read_predictions,
  write_predictions,
)
from infusenet_jax.evaluate.report.clips import Sample
from infusenet_jax.evaluate.report.page import read_curve, write_report
from infusenet_jax.evaluate.scores import Tables, cd6me_tables
from infusenet_jax.evaluate.tables import format_tables, write_tables
from infusenet_jax.runtime.devices import even_batch, is_main
from infusenet_jax.runtime.files import PREDICTIONS, read_arrays, write_atomically
from infusenet_jax.runtime.workdir import (
  fold_files,
  fold_folder,
  versions,
)
from infusenet_jax.training.engine.experiment import Experiment, Job
from infusenet_jax.training.engine.folds import LOSSES
from infusenet_jax.training.engine.inputs import put_batch
from infusenet_jax.training.engine.saliency import make_saliency
from infusenet_jax.training.engine.steps import TrainState

_log = logging.getLogger(__name__)

MAPS = "maps.npz"
MOST_SAMPLES = 6


@dataclass(frozen=True)
class Results:
  """A finished run: its predictions, scored once.

  Attributes:
    about: title, config and versions, as all that is written says them.
    workdir: where all of it is written.
    predictions: of every fold and seed.
    tables: of the predictions.
    published: averages of another's run of this network, in %, by table and kind of
      F1; None where there are none.
  """

  about: About
  workdir: Path
  predictions: Predictions
  tables: Tables
  published: Mapping[str, Mapping[str, float]] | None = None

  def text(self) -> str:
    """The tables for a terminal, and where the rest lies."""
    return (
      f"{format_tables(self.tables, self.about)}\n"
      f"{self.beside_published()}"
      f"Written to {self.workdir}: report.html, results.json, results.md,\n"
      "au_table.csv, database_table.csv, predictions.csv\n"
    )

  def beside_published(self) -> str:
    """The averages beside those published; "" unless the clips are those published."""
    whole = self.tables.clips == tuple(CLIPS.values()) and self.tables.cross_database
    if not self.published or self.predictions.simulated or not whole:
      return ""
    lines = ["Averages, F1 in percent:           here  published"]
    for table, kinds in self.published.items():
      for kind, published in kinds.items():
        here = 100 * getattr(self.tables, table)[kind].mean[-1]
        name = f"{table} table, {kind} F1"
        lines.append(f"  {name:30s}{here:7.1f}{published:11.1f}")
    return "\n".join(lines) + "\n\n"


def about_run(config: ConfigDict, simulated: bool) -> About:
  """The title of a run, its config and the versions that run now."""
  infuses = config.model.name == "infusenet"
  title = f"InfuseNet, {config.name}" if infuses else config.name
  return About(title, simulated, config=config, versions=versions())


def read_results(config: ConfigDict, workdir: Path) -> Results:
  """Scores the predictions of all folds that are in `workdir`."""
  predictions = read_predictions(fold_files(workdir, PREDICTIONS))
  about = about_run(config, predictions.simulated)
  tables = cd6me_tables(predictions)
  return Results(about, workdir, predictions, tables, config.get("published"))


def write_results(config: ConfigDict, workdir: Path, clips: Clips) -> Results:
  """Scores the predictions of all folds; writes tables, predictions and report."""
  results = read_results(config, workdir)
  predictions, tables = results.predictions, results.tables
  write_predictions(workdir / PREDICTIONS, predictions)
  runs = sorted(set(zip(predictions.seed.tolist(), predictions.fold, strict=True)))
  write_report(
    workdir / "report.html",
    results.about,
    tables=tables,
    predictions=predictions,
    curves=[
      read_curve(fold_folder(workdir, seed, fold) / LOSSES, seed, fold)
      for seed, fold in runs
      if (fold_folder(workdir, seed, fold) / LOSSES).exists()  # Some train no epochs.
    ],
    samples=read_samples(config, workdir, clips),
  )
  write_tables(workdir, tables, results.about)
  return results


def sample_numbers(clips: Clips) -> list[int]:
  """One clip of each database, the first that shows most AUs."""
  chosen = []
  for key in dict.fromkeys(clips.database):
    mine = np.flatnonzero(clips.database == key)
    chosen.append(int(mine[np.argmax(clips.labels[mine].sum(1))]))
  return chosen[:MOST_SAMPLES]


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


def read_samples(config: ConfigDict, workdir: Path, clips: Clips) -> list[Sample]:
  """The samples with the maps that the first seed's folds kept, where they did."""
  maps: dict[int, dict[str, np.ndarray]] = {}
  for path in fold_files(workdir, MAPS, config.seeds[0]):
    try:
      content = read_arrays(path)
    except (OSError, ValueError) as error:
      _log.warning("%s: not readable (%s); the report goes without it", path, error)
      continue
    for name, values in content.items():
      number, _, what = name.partition(" ")
      maps.setdefault(int(number), {})[what] = values
  return [
    Sample(
      database=str(clips.database[i]),
      subject=str(clips.subject[i]),
      clip=str(clips.clip[i]),
      onset=clips.onset[i],
      apex=clips.apex[i],
      flow=clips.flow_in_pixels(i),
      maps=maps.get(i, {}),
    )
    for i in sample_numbers(clips)
  ]
