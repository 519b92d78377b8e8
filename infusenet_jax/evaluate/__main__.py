"""Scores saved predictions, of this project's models or of any other team's.

  python -m infusenet_jax.evaluate --predictions runs/quickstart/predictions.csv
  python -m infusenet_jax.evaluate --run runs/quickstart
  python -m infusenet_jax.evaluate --compare runs/first runs/second --out comparison

--predictions prints every table of CD6ME from the files alone, --run writes a finished
run's tables, figures and report again from what is there, and --compare gives the
averages of finished runs on the same clips with their paired differences from the
first. Needs no JAX but for the report's pictures of clips.

A file of predictions has a line for each clip and run, below a line with the columns
  database                    casme, casme2, samm, fourd, mmew, casme3a, or an own name
  subject, clip, fold         any text; fold is what the training left out
  seed                        a whole number, another one for each run
  logit_AU1 ... logit_AU17    an AU counts as shown where its logit is above 0
  label_AU1 ... label_AU17    1 where it is shown, else 0
  data                        simulated or licensed; may be missing: give --data
The AUs are 1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15 and 17.
"""

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from infusenet_jax import __version__
from infusenet_jax.evaluate.comparison import compared, write_study
from infusenet_jax.evaluate.documents import About
from infusenet_jax.evaluate.latex import write_latex
from infusenet_jax.evaluate.predictions import DATA, read_predictions
from infusenet_jax.evaluate.report.page import write_report
from infusenet_jax.evaluate.run import (
  fingerprints,
  open_run,
  stored_pictures,
  write_results,
)
from infusenet_jax.evaluate.scores import cd6me_tables, compare
from infusenet_jax.evaluate.tables import format_comparison, format_tables, write_tables
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.files import lock

COMPARISON = "comparison"


def main(arguments: Sequence[str] | None = None) -> None:
  """Prints the tables of predictions or runs and, with --out or --run, writes them."""
  options = _parser().parse_args(arguments)
  if options.latex and not (options.out or options.run):
    raise UserError("--latex writes files: name a folder for them with --out")
  if options.against and not options.predictions:
    raise UserError("--against belongs to --predictions; for runs, give --compare")
  if not (options.pictures or options.run):
    raise UserError("--no-pictures belongs to --run; no other report has pictures")
  if options.run:
    rewrite(options.run, options.out or options.run, options.latex, options.pictures)
  elif options.compare:
    compare_runs(options.compare, options.out, options.latex)
  else:
    score(options)


def rewrite(workdir: Path, out: Path, latex: bool, pictures: bool) -> None:
  """Writes a finished run's tables, report and predictions again and prints its tables.

  Args:
    workdir: of the run.
    out: where to; the run's own folder or another.
    latex: whether the tables are written as LaTeX too.
    pictures: whether the report may show clips; not if the run's config says no.

  Raises:
    UserError: no finished run is there, or `out` cannot be written.
  """
  results = open_run(workdir)
  shown = stored_pictures(results) if pictures else None
  with lock(out, f"--out={out}"), _writing(out):
    write_results(results, out, shown)
    if latex:
      records = {results.about.title: fingerprints(workdir)}
      tables = {results.about.title: results.tables}
      write_latex(out, tables, results.about, records)
  print(replace(results, workdir=out).text(), end="")


def compare_runs(workdirs: Sequence[Path], out: Path | None, latex: bool) -> None:
  """Prints the averages of runs and their paired differences from the first run.

  Args:
    workdirs: of finished runs on the same clips.
    out: folder for comparison.md, .csv, -by-au.csv and .json; None to write none.
    latex: whether the tables of all runs are written there as LaTeX too.

  Raises:
    UserError: a run is not finished, two have one name or other clips, or `out` cannot
      be written.
  """
  names = [workdir.absolute().name for workdir in workdirs]
  for name in names:
    if names.count(name) > 1:
      raise UserError(f"--compare: two are called {name}; rename one of the folders")
  if len(workdirs) < 2:
    raise UserError(f"--compare {workdirs[0]}: expected at least two runs")
  runs = {name: open_run(path) for name, path in zip(names, workdirs, strict=True)}
  reference = runs[names[0]].predictions
  rows = {}
  for name, run in runs.items():
    try:
      rows[name] = compared(run.tables, run.predictions, reference, run.fitted)
    except UserError as error:
      raise UserError(f"--compare: {names[0]} and {name} differ: {error}") from error
  about = About(
    "Comparison of runs",
    any(run.predictions.simulated for run in runs.values()),
    config={name: run.about.config for name, run in runs.items()},
    versions={"infusenet-jax": __version__, "numpy": np.__version__},
  )
  tables = (("Runs", tuple((name, name) for name in names)),)
  with _writing(out) as folder:
    text = write_study(
      folder, COMPARISON, rows, about, tables=tables, reference=names[0]
    )
    if latex:
      records = {n: fingerprints(path) for n, path in zip(names, workdirs, strict=True)}
      write_latex(folder, {n: run.tables for n, run in runs.items()}, about, records)
  print(text, end="")


def score(options: argparse.Namespace) -> None:
  """Prints the tables of the predictions and, with --out, writes all of them."""
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
    clips, subjects = (
      compare(predictions, others, by=by) for by in ("clips", "subjects")
    )
    print("\n" + format_comparison(clips, subjects, both), end="")
  if options.out:
    with _writing(options.out) as out:
      write_tables(out, tables, about)
      if options.latex:
        write_latex(out, {options.title: tables}, about, {})
      write_report(
        out / "report.html",
        about,
        tables=tables,
        predictions=predictions,
      )


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.evaluate",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  what = parser.add_mutually_exclusive_group(required=True)
  what.add_argument(
    "--predictions",
    nargs="+",
    metavar="FILE",
    help="CSV files of one model: any number of runs and folds",
  )
  what.add_argument(
    "--run", type=Path, metavar="RUN", help="workdir of a finished run of main"
  )
  what.add_argument(
    "--compare",
    type=Path,
    nargs="+",
    metavar="RUN",
    help="workdirs of finished runs; the first is what the others are compared with",
  )
  parser.add_argument(
    "--against",
    nargs="+",
    metavar="FILE",
    help="another model's files of the same clips: prints how much they differ",
  )
  parser.add_argument(
    "--out",
    type=Path,
    metavar="DIR",
    help="write JSON, CSV, Markdown and HTML here (default: of --run its own folder,"
    " else nothing is written)",
  )
  parser.add_argument(
    "--latex",
    action="store_true",
    help="write au_table.tex and database_table.tex as well",
  )
  parser.add_argument(
    "--no-pictures",
    dest="pictures",
    action="store_false",
    help="with --run: write a report that shows no clip, so that it may be passed on",
  )
  parser.add_argument(
    "--data", choices=DATA, help="what the clips of files without a column data are"
  )
  parser.add_argument(
    "--title",
    default="Predictions",
    help="heads every table of --predictions (default: Predictions)",
  )
  return parser


@contextlib.contextmanager
def _writing(out: Path | None) -> Iterator[Path | None]:
  """Makes the folder that is written to; one line where that cannot be."""
  if out is None:
    yield None
    return
  try:
    out.mkdir(parents=True, exist_ok=True)
    yield out
  except OSError as error:
    raise UserError(
      f"--out={out}: cannot be written ({error.strerror}); name another"
    ) from error


if __name__ == "__main__":
  exit_with_one_line(main)
