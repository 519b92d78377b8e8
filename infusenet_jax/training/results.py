"""From the predictions in a workdir to its tables and report."""

from pathlib import Path

from ml_collections import ConfigDict

from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate.documents import About
from infusenet_jax.evaluate.predictions import (
  Predictions,
  read_predictions,
  write_predictions,
)
from infusenet_jax.evaluate.report.page import read_curve, write_report
from infusenet_jax.evaluate.scores import cd6me_tables
from infusenet_jax.evaluate.tables import format_tables, write_tables
from infusenet_jax.runtime.workdir import fold_folder, versions
from infusenet_jax.training.engine.config import infuses
from infusenet_jax.training.samples import read_samples


def write_results(config: ConfigDict, workdir: Path, clips: Clips) -> None:
  """Scores the predictions of all folds; writes tables, predictions and report."""
  predictions = _fold_predictions(workdir)
  write_predictions(workdir / "predictions.csv", predictions)
  tables = cd6me_tables(predictions)
  about = _about(config, predictions)
  runs = sorted(set(zip(predictions.seed.tolist(), predictions.fold, strict=True)))
  curves = [
    read_curve(fold_folder(workdir, seed, fold) / "losses.csv", seed, fold)
    for seed, fold in runs
  ]
  write_report(
    workdir / "report.html",
    about,
    tables=tables,
    predictions=predictions,
    curves=curves,
    samples=read_samples(config, workdir, clips),
  )
  write_tables(workdir, tables, about)


def print_results(config: ConfigDict, workdir: Path) -> None:
  """Prints the tables of a finished run."""
  predictions = _fold_predictions(workdir)
  about = _about(config, predictions)
  print(format_tables(cd6me_tables(predictions), about), end="")
  print(f"\nWritten to {workdir}: report.html, results.json, results.md,")
  print("au_table.csv, database_table.csv, predictions.csv")


def _fold_predictions(workdir: Path) -> Predictions:
  return read_predictions(sorted(workdir.glob("folds/*/predictions.csv")))


def _about(config: ConfigDict, predictions: Predictions) -> About:
  title = f"InfuseNet, {config.name}" if infuses(config) else config.name
  return About(title, predictions.simulated, config, versions())
