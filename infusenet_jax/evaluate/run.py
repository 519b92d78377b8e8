"""A run in its folder: from what its folds predicted to tables and report, at any time.

Needs no JAX but for the pictures of clips, which are read from the records.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from infusenet_jax import __version__
from infusenet_jax.clips.labels import CLIPS
from infusenet_jax.clips.prepared import (
  prepared_databases,
  records_identity,
  simulated_records_folder,
)
from infusenet_jax.evaluate.documents import About, csv_document
from infusenet_jax.evaluate.pictures import may_show, read_pictures
from infusenet_jax.evaluate.predictions import (
  Predictions,
  read_predictions,
  write_predictions,
)
from infusenet_jax.evaluate.report.clips import Pictures
from infusenet_jax.evaluate.report.page import (
  holds_pictures,
  read_curve,
  write_report,
)
from infusenet_jax.evaluate.scores import Tables, cd6me_tables
from infusenet_jax.evaluate.tables import format_tables, write_tables
from infusenet_jax.evaluate.thresholds import FITTED, SAID_OF_FITTED, all_rows
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import read_json, write_atomically
from infusenet_jax.runtime.run_files import (
  CONFIG,
  LOSSES,
  PREDICTIONS,
  RECORDS,
  THRESHOLDS,
  fold_files,
  fold_folder,
  results_exist,
)

_log = logging.getLogger(__name__)

# What a finished run's folder holds beside its folds.
WRITTEN = (
  *("report.html", "results.json", "results.md"),
  *("au_table.csv", "database_table.csv", PREDICTIONS),
)
_ADVICE = "give the workdir of a run of `python -m infusenet_jax.main`"


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

  @property
  def fitted(self) -> bool:
    """Whether it was decided at fitted thresholds, not at 0."""
    return self.about.config.get("decide_at") == FITTED

  def text(self) -> str:
    """The tables for a terminal, and where the rest lies."""
    return (
      f"{format_tables(self.tables, self.about)}\n"
      f"{self.beside_published()}"
      f"Written to {self.workdir}: report.html, results.json, results.md,\n"
      f"au_table.csv, database_table.csv, {PREDICTIONS}"
      f"{f', {THRESHOLDS}' if self.fitted else ''}\n"
    )

  def write_missing(self) -> None:
    """Writes all files again where one of them was deleted.

    So it does where the report shows clips, but the config now says that it must not.
    """
    missing = [name for name in WRITTEN if not (self.workdir / name).exists()]
    report = self.workdir / "report.html"
    if not may_show(self.about.config) and holds_pictures(report):
      missing.append(f"{report.name} without pictures")
    if missing:
      _log.info("writing %s again", ", ".join(missing))
      write_results(self, self.workdir, stored_pictures(self))

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


def open_run(workdir: Path) -> Results:
  """The results of a finished run, from its folder alone.

  Raises:
    UserError: no run is there, or it is not finished.
  """
  config = ConfigDict(read_json(workdir / CONFIG, _ADVICE))
  try:
    missing = _missing_folds(config, workdir)
    if missing:
      raise UserError(
        f"{workdir}: this run is not finished ({missing}); run the command that began "
        "it again, it goes on where it stopped"
      )
    return read_results(config, workdir, _versions(workdir))
  except (AttributeError, KeyError) as error:
    raise UserError(
      f"{workdir / CONFIG}: is no config of a run with folds ({error}); {_ADVICE}"
    ) from error


def about_run(
  config: ConfigDict, simulated: bool, versions: Mapping[str, str]
) -> About:
  """The title of a run, its config and the versions of the packages it ran with."""
  infuses = config.model.name == "infusenet"
  title = f"InfuseNet, {config.name}" if infuses else config.name
  if config.get("decide_at") == FITTED:
    title += f", {SAID_OF_FITTED}"
  return About(title, simulated, config=config, versions=versions)


def read_results(
  config: ConfigDict, workdir: Path, versions: Mapping[str, str]
) -> Results:
  """Scores the predictions of all folds that are in `workdir`.

  Args:
    config: of the run.
    workdir: of the run.
    versions: of the packages that it ran with.
  """
  predictions = read_predictions(fold_files(workdir, PREDICTIONS))
  about = about_run(config, predictions.simulated, versions)
  tables = cd6me_tables(predictions)
  return Results(about, workdir, predictions, tables, config.get("published"))


def write_results(results: Results, out: Path, pictures: Pictures | None) -> None:
  """Writes predictions, report and tables of a run to `out`, its own folder or another.

  Args:
    results: of the run.
    out: the folder.
    pictures: of clips, for the report; None to show none.

  Raises:
    UserError: a file cannot be written.
  """
  predictions, workdir = results.predictions, results.workdir
  out.mkdir(parents=True, exist_ok=True)
  write_predictions(out / PREDICTIONS, predictions)
  runs = sorted(set(zip(predictions.seed.tolist(), predictions.fold, strict=True)))
  write_report(
    out / "report.html",
    results.about,
    tables=results.tables,
    predictions=predictions,
    curves=[
      read_curve(fold_folder(workdir, seed, fold) / LOSSES, seed, fold)
      for seed, fold in runs
      if (fold_folder(workdir, seed, fold) / LOSSES).exists()  # Some train no epochs.
    ],
    pictures=pictures,
  )
  if paths := fold_files(workdir, THRESHOLDS):
    lines = csv_document(results.tables, results.about, all_rows(paths))
    write_atomically(out / THRESHOLDS, lines)
  write_tables(out, results.tables, results.about)


def stored_pictures(results: Results) -> Pictures | None:
  """The pictures for the report, from the records that the run was trained on.

  None where the config wants none. Where the records are gone, or are others by now,
  there are none either, and a warning says so.
  """
  config, workdir = results.about.config, results.workdir
  if not may_show(config):
    return None
  folder = Path(
    config.data_dir or simulated_records_folder(config.simulated, config.record_size)
  )
  without = "the report goes without pictures of clips"
  if not prepared_databases(folder):
    _log.warning("%s: no records are there any more; %s", folder, without)
    return None
  try:
    if records_identity(folder) != fingerprints(workdir):
      _log.warning("%s: holds other records than the run's; %s", folder, without)
      return None
    from infusenet_jax.clips.records import load_clips  # It needs JAX.

    return read_pictures(config, workdir, load_clips(folder, config.image_size))
  except (ImportError, UserError) as error:
    _log.warning("%s: cannot be read (%s); %s", folder, error, without)
    return None


def fingerprints(workdir: Path) -> dict[str, str]:
  """What the records of each database were made from, as the run noted it."""
  return read_json(workdir / RECORDS, _ADVICE)


def _versions(workdir: Path) -> dict[str, str]:
  """What the run ran with, as its results.json says; else what scores it now."""
  path = workdir / "results.json"
  if path.exists():
    found = read_json(path, "delete it, and run the same command again").get("versions")
    if isinstance(found, dict) and found:
      return found
  return {"infusenet-jax": __version__, "numpy": np.__version__}


def _missing_folds(config: ConfigDict, workdir: Path) -> str:
  """What is missing of a run's folds, in words; "" where it is finished."""
  if results_exist(workdir):
    return ""
  if config.protocol != "cd6me":
    return f"it has no results.md, and which folds {config.protocol} has is not known"
  names = list(fingerprints(workdir))
  if config.folds != "all":
    names = [name.strip() for name in config.folds.split(",") if name.strip()]
  missing = [
    f"seed {seed} of {name}"
    for seed in config.seeds
    for name in names
    if not (fold_folder(workdir, seed, name) / PREDICTIONS).exists()
  ]
  more = f" and {len(missing) - 3} more" * (len(missing) > 3)
  return f"without {', '.join(missing[:3])}{more}" if missing else ""
