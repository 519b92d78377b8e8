"""Writes report.html: one file that shows a run, without scripts or other files.

This module collects the data; the templates in templates/ lay them out.
"""

import csv
import functools
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from markupsafe import Markup

from infusenet_jax.clips.labels import AUS, DATABASES, database_name
from infusenet_jax.evaluate.documents import About, headline, subtitle, to_json
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.protocol import AVERAGES
from infusenet_jax.evaluate.report.clips import Pictures, cards, highest_gate
from infusenet_jax.evaluate.report.counts import by_au, by_database
from infusenet_jax.evaluate.report.environment import environment
from infusenet_jax.evaluate.report.figures import (
  Curve,
  bars,
  learning_curves,
  run_colours,
)
from infusenet_jax.evaluate.report.mistakes import MOST, mistakes, without
from infusenet_jax.evaluate.report.panels import panels, trust
from infusenet_jax.evaluate.scores import Tables, held_out
from infusenet_jax.evaluate.tables import (
  BY_AVERAGE,
  COLUMNS,
  NAMES,
  basis,
  fold_rows,
  rows,
  subject_intervals,
)
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically

MOST_PANELS = 12  # With more folds, the learning curves of a database share a panel.
_TEMPLATES = environment("infusenet_jax.evaluate.report")


def read_curve(path: str | os.PathLike, seed: int, fold: str) -> Curve:
  """Reads a learning curve from a CSV with the columns epoch and loss.

  Raises:
    UserError: the file cannot be read, or lacks a column or a number.
  """
  try:
    with open(path, newline="", encoding="utf-8") as file:
      lines = list(csv.DictReader(file))
    points = ((float(line["epoch"]), float(line["loss"])) for line in lines)
    return Curve(seed, fold, *zip(*points, strict=True))
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error.strerror})") from error
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(
      f"{path}: expected the columns epoch and loss and numbers under them"
    ) from error


def write_report(
  path: str | os.PathLike,
  about: About,
  *,
  tables: Tables,
  predictions: Predictions,
  curves: Sequence[Curve] = (),
  pictures: Pictures | None = None,
) -> None:
  """Writes the page: tables, figures, clips, worst mistakes, config and versions.

  Args:
    path: of the HTML file.
    about: the run's title, config and versions.
    tables: from `cd6me_tables(predictions)`.
    predictions: of all seeds.
    curves: from `read_curve`; none if left out.
    pictures: that may be shown; none if left out.

  Raises:
    UserError: the file cannot be written, or predictions do not fit together.
  """
  one = held_out(predictions)
  titled = functools.partial(subtitle, data=about.data)
  samples = pictures.samples if pictures else ()
  wrong, listed = mistakes(one, pictures)
  page = _TEMPLATES.get_template("report.html.j2").render(
    about=about,
    headline=headline(tables, about),
    titled=titled,
    contents=[],  # The sections add themselves.
    basis=[
      ", ".join(map(database_name, tables.databases)),
      *basis(tables, about.simulated),
    ],
    averages=[
      (
        kind,
        NAMES[table].average,
        rows(tables, table)[-1][1][kind],
        subject_intervals(tables, table)[-1][kind],
      )
      for table in BY_AVERAGE
      for kind in AVERAGES
    ],
    kinds=AVERAGES,
    bars=_bars(tables, titled),
    seeds_count=len(tables.seeds),
    tables={
      names.table: [
        (*row, ends)
        for row, ends in zip(
          rows(tables, table), subject_intervals(tables, table), strict=True
        )
      ]
      for table, names in NAMES.items()
    },
    columns=COLUMNS,
    folds=_folds(tables, one),
    losses=_losses(curves, titled),
    seeds={} if _many(curves) else run_colours(curves),
    databases=[(key, database_name(key)) for key in tables.databases],
    aus=AUS,
    by_au=by_au(tables.detection),
    by_database=by_database(tables.detection),
    panels=panels(one, tables.detection),
    trust=trust(one),
    samples=cards(samples, one),
    samples_have_maps=any(sample.maps for sample in samples),
    highest_gate=highest_gate(samples),
    wrong=wrong,
    decisions=one.labels.size,
    mistakes=listed,
    most=MOST,
    without=without(listed, tables.databases),
    has_faces=bool(samples) or any(mistake.face for mistake in listed),
    config=to_json(about.config),
  )
  write_atomically(Path(path), page)


def holds_pictures(path: Path) -> bool:
  """Whether a report that was written shows any clip."""
  return path.exists() and 'src="data:image/' in path.read_text(encoding="utf-8")


def _bars(tables: Tables, titled: Callable[[str], str]) -> list[tuple[str, Markup]]:
  """Draws a figure for each F1 kind; returns them with their titles."""
  figures = []
  for kind in AVERAGES:
    title = titled(f"{kind} F1 of each AU in percent")
    cells = [(name, cells[kind]) for name, cells in rows(tables, "au")]
    figures.append((title, Markup(bars(cells, title))))
  return figures


def _folds(
  tables: Tables, run: Predictions
) -> dict[str, list[tuple[str, list[tuple[float, int | str]]]]]:
  """Makes the rows of the per-fold table, by F1 kind.

  A row is (database, [(F1 in percent, number of clips that show the AU), ...]).
  """
  positives = [run.labels[run.database == key].sum(0) for key in tables.databases]
  return {
    kind: [
      (name, list(zip(values, [*counts, ""], strict=True)))
      for (name, values), counts in zip(fold_rows(tables, kind), positives, strict=True)
    ]
    for kind in AVERAGES
  }


def _many(curves: Sequence[Curve]) -> bool:
  return len({curve.fold for curve in curves}) > MOST_PANELS


def _losses(curves: Sequence[Curve], titled: Callable[[str], str]) -> list[Markup]:
  """Draws learning curves on one scale: a panel per fold or, of many, per database."""
  losses = [loss for curve in curves for loss in curve.losses if math.isfinite(loss)]
  place = {key: i for i, key in enumerate(DATABASES)}
  many, colours = _many(curves), run_colours(curves)
  grouped: dict[str, list[Curve]] = {}
  for curve in sorted(curves, key=lambda c: (place.get(c.database, 6), c.fold, c.seed)):
    grouped.setdefault(curve.database if many else curve.fold, []).append(curve)
  return [
    Markup(
      learning_curves(
        panel, titled(database_name(name)), max(losses, default=1.0), colours
      )
    )
    for name, panel in grouped.items()
  ]
