"""From the predictions in a workdir to its tables and report."""

from pathlib import Path

from ml_collections import ConfigDict

from infusenet_jax.parallel import is_main_process
from infusenet_jax.predictions import read_predictions, write_predictions
from infusenet_jax.report import format_tables, write_tables
from infusenet_jax.tables import cd6me_tables
from infusenet_jax.workdir import versions

LAST_WRITTEN = "results.md"


def results_exist(workdir: Path) -> bool:
  """Whether the run in `workdir` is finished."""
  return (workdir / LAST_WRITTEN).exists()


def report_results(config: ConfigDict, workdir: Path) -> None:
  """Scores the predictions of all folds, writes the tables and prints them."""
  if not is_main_process():
    return
  files = sorted(workdir.glob("folds/*/predictions.csv"))
  predictions = read_predictions(files)
  write_predictions(workdir / "predictions.csv", predictions)
  tables = cd6me_tables(predictions)
  how = {"title": f"InfuseNet, {config.name}", "simulated": predictions.simulated}
  write_tables(
    workdir,
    tables,
    **how,
    config=config,
    seed=config.seeds[0],
    versions=versions(),
  )
  print(format_tables(tables, **how), end="")
  print(
    f"\nWritten to {workdir}: results.json, results.md, *_table.csv, predictions.csv"
  )
