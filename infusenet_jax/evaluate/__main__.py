"""Scores saved predictions, of this project's models or of any other team's.

  python -m infusenet_jax.evaluate --predictions runs/quickstart/predictions.csv

Needs no JAX.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from infusenet_jax import __version__
from infusenet_jax.evaluate.documents import About
from infusenet_jax.evaluate.predictions import DATA, read_predictions
from infusenet_jax.evaluate.report.page import write_report
from infusenet_jax.evaluate.scores import cd6me_tables, compare
from infusenet_jax.evaluate.tables import format_comparison, format_tables, write_tables
from infusenet_jax.runtime.errors import UserError, exit_with_one_line


def main(arguments: Sequence[str] | None = None) -> None:
  """Prints the tables of the predictions and, with --out, writes all of them."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.evaluate",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    "--predictions",
    nargs="+",
    required=True,
    metavar="FILE",
    help="CSV files of one model: any number of runs and folds",
  )
  parser.add_argument(
    "--against",
    nargs="+",
    metavar="FILE",
    help="another model's files of the same clips: prints how much they differ",
  )
  parser.add_argument(
    "--out", metavar="DIR", help="write JSON, CSV, Markdown and HTML here"
  )
  parser.add_argument(
    "--data", choices=DATA, help="what the clips of files without a column data are"
  )
  parser.add_argument(
    "--title", default="Predictions", help="heads every table (default: Predictions)"
  )
  options = parser.parse_args(arguments)
  predictions = read_predictions(options.predictions, options.data)
  tables = cd6me_tables(predictions)
  about = About(
    options.title,
    predictions.simulated,
    config={"predictions": [str(file) for file in options.predictions]},
    versions={"infusenet-jax": __version__, "numpy": np.__version__},
    declared=predictions.declared,
  )
  print(format_tables(tables, about), end="")
  if options.against:
    others = read_predictions(options.against, options.data)
    both = replace(
      about,
      simulated=predictions.simulated or others.simulated,
      declared=predictions.declared or others.declared,
    )
    print("\n" + format_comparison(compare(predictions, others), both), end="")
  if options.out:
    try:
      write_tables(options.out, tables, about)
      write_report(
        Path(options.out) / "report.html",
        about,
        tables=tables,
        predictions=predictions,
        curves=[],
        samples=[],
      )
    except OSError as error:
      raise UserError(
        f"--out={options.out}: cannot be written ({error.strerror}); name another"
      ) from error


if __name__ == "__main__":
  exit_with_one_line(main)
