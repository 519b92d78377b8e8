"""Formats the result tables as text, Markdown, CSV and JSON; F1 in percent."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from infusenet_jax.clips.labels import AUS, CLIPS, DATABASES, database_name
from infusenet_jax.evaluate.documents import (
  About,
  csv_document,
  headline,
  json_document,
  markdown_ending,
  markdown_heading,
  markdown_text,
  published_databases,
  subtitle,
)
from infusenet_jax.evaluate.protocol import AVERAGES
from infusenet_jax.evaluate.scores import Tables
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.text import markdown_table, text_table

COLUMNS = [*(f"AU{au}" for au in AUS), "Average"]


class Names(NamedTuple):
  """The names of a table, of the heading of its rows and of its last row."""

  table: str
  row: str
  average: str


NAMES = {
  "au": Names("AU table", "AU", "AU average"),
  "database": Names("Database table", "database", "database average"),
}
# The tables, in the order in which reports that show averages alone list them.
BY_AVERAGE = ("database", "au")


class Cell(NamedTuple):
  """An F1 in percent, with its spread and what it is to be compared with.

  mean, std: mean and standard deviation over runs.
  low, high: ends of the 95 % interval over clips.
  always: the F1 of a model that always says "positive".
  """

  mean: float
  std: float
  low: float
  high: float
  always: float


def basis(tables: Tables, simulated: bool) -> list[str]:
  """Lists lines on the clips, seeds and folds of the tables, and on their limits."""
  seeds = ", ".join(map(str, tables.seeds))
  count = len(tables.seeds)
  runs = f"{count} runs (seeds {seeds})" if count > 1 else f"seed {seeds}"
  lines = [f"F1 in percent; {sum(tables.clips)} clips, {runs}"]
  count = len(published_databases(tables))
  others = len(tables.databases) - count
  if count < len(DATABASES) or others:
    more = f" and {others} other" if others else ""
    lines.append(
      f"{count} of the {len(DATABASES)} databases{more}: not comparable with CD6ME"
      " results"
    )
  if not simulated:
    lines += [
      f"{DATABASES[key]}: {clips} of {CLIPS[key]} clips, not comparable with CD6ME"
      for key, clips in zip(tables.databases, tables.clips, strict=True)
      if clips != CLIPS.get(key, clips)
    ]
  if not tables.cross_database:
    lines.append("folds are not one database each: not comparable with CD6ME results")
  return lines


def legend(tables: Tables, simulated: bool) -> list[str]:
  """Lists the lines of `basis` and, last, one that explains the signs in the tables."""
  deviation = "±: over runs; " if len(tables.seeds) > 1 else ""
  signs = "[ ] 95 % over clips, ( ) over subjects; always+: always positive"
  return [*basis(tables, simulated), deviation + signs]


def rows(tables: Tables, table: str) -> list[tuple[str, dict[str, Cell]]]:
  """Lists (name, {"binary": Cell, "macro": Cell}) of the "au" or "database" table."""
  names = COLUMNS
  if table == "database":
    names = [*map(database_name, tables.databases), "Average"]
  scores, always = getattr(tables, table), tables.always[table]
  cells = {
    kind: [
      Cell(*(100 * float(value) for value in values))
      for values in zip(*vars(scores[kind]).values(), always[kind], strict=True)
    ]
    for kind in AVERAGES
  }
  return [
    (name, {kind: cells[kind][i] for kind in AVERAGES}) for i, name in enumerate(names)
  ]


def subject_intervals(
  tables: Tables, table: str
) -> list[dict[str, tuple[float, float]]]:
  """Lists, in the order of `rows`, {"binary" or "macro": (low, high)} over subjects."""
  ends = {
    kind: 100 * np.stack(tables.subjects[table][kind], axis=-1) for kind in AVERAGES
  }
  return [
    {kind: (float(ends[kind][i, 0]), float(ends[kind][i, 1])) for kind in AVERAGES}
    for i in range(len(ends[AVERAGES[0]]))
  ]


def fold_rows(tables: Tables, kind: str) -> list[tuple[str, list[float]]]:
  """Lists (database, [F1 of its 12 AUs and their average in percent])."""
  return [
    (database_name(key), [100 * float(value) for value in tables.fold[kind][i]])
    for i, key in enumerate(tables.databases)
  ]


def format_tables(tables: Tables, about: About) -> str:
  """Lays the AU and database tables out for a terminal, at most 79 characters wide.

  There is room for the averages' intervals over subjects, in a line of their own.
  """
  several = len(tables.seeds) > 1
  width = 32 if several else 26

  def text(cell: Cell) -> str:
    std = f" ±{cell.std:4.1f}" if several else ""
    return (
      f"{cell.mean:5.1f}{std} [{cell.low:5.1f},{cell.high:5.1f}] {cell.always:6.1f}"
    )

  lines = [headline(tables, about), *legend(tables, about.simulated)]
  for key, names in NAMES.items():
    model = f" model{'always+':>{width - 7}}"
    heading = [
      ["", *(f"{kind} F1".ljust(width) for kind in AVERAGES)],
      ["", *(model.ljust(width) for _ in AVERAGES)],
    ]
    body = [
      [name.ljust(9), *map(text, cells.values())] for name, cells in rows(tables, key)
    ]
    *above, average = text_table([*heading, *body]).splitlines()
    rule = "-" * (11 + 2 * width)
    indent = " " * (23 if several else 17)  # Below the interval over clips.
    ends = [
      f"({low:5.1f},{high:5.1f})".ljust(width + 2)
      for low, high in subject_intervals(tables, key)[-1].values()
    ]
    over_subjects = (indent + "".join(ends)).rstrip()
    lines += ["", subtitle(names.table, about.data), *above, rule, average]
    lines.append(over_subjects)
  return "\n".join(lines) + "\n"


def format_comparison(
  by_clips: Mapping[str, Mapping[str, tuple[float, float, float]]],
  by_subjects: Mapping[str, Mapping[str, tuple[float, float, float]]],
  about: About,
) -> str:
  """Lays the paired differences of `scores.compare` out for a terminal, in points."""
  lines = [subtitle(f"{about.title} minus the others, same clips", about.data)]
  lines.append("[ ]: 95 % interval over clips, ( ): over subjects")
  for table, kinds in by_clips.items():
    for kind, values in kinds.items():
      difference, low, high = (100 * value for value in values)
      least, most = (100 * value for value in by_subjects[table][kind][1:])
      name = f"{NAMES[table].table}, {kind} F1, average"
      lines.append(
        f"{name:<36}{difference:+6.1f} points [{low:+6.1f},{high:+6.1f}]"
        f" ({least:+6.1f},{most:+6.1f})"
      )
  return "\n".join(lines) + "\n"


def format_markdown(tables: Tables, about: About) -> str:
  """Lays all tables out as Markdown, with the seeds, the config and the versions."""
  lines = [f"# {markdown_text(headline(tables, about))}", ""]
  lines += [f"* {line}" for line in legend(tables, about.simulated)]
  columns = [
    column
    for kind in AVERAGES
    for column in (
      f"{kind} F1",
      f"[{kind} 95 %, clips]",
      f"({kind} 95 %, subjects)",
      f"{kind} always+",
    )
  ]
  for key, names in NAMES.items():
    lines += markdown_heading(names.table, about.data)
    body = [[names.row, *columns]]
    over_subjects = subject_intervals(tables, key)
    for (name, cells), ends in zip(rows(tables, key), over_subjects, strict=True):
      row = [f"**{name}**" if name == "Average" else name]
      for kind, cell in cells.items():
        std = f" ± {cell.std:.1f}" if len(tables.seeds) > 1 else ""
        row += [f"{cell.mean:.1f}{std}", f"[{cell.low:.1f}, {cell.high:.1f}]"]
        row += [f"({ends[kind][0]:.1f}, {ends[kind][1]:.1f})"]
        row += [f"{cell.always:.1f}"]
      body.append(row)
    lines.append(markdown_table(body))
  for kind in AVERAGES:
    lines += markdown_heading(f"Fold by fold, {kind} F1", about.data)
    body = [
      [name, *(f"{value:.1f}" for value in values)]
      for name, values in fold_rows(tables, kind)
    ]
    lines.append(markdown_table([["database", *COLUMNS], *body]))
  return "\n".join([*lines, *markdown_ending(about)]) + "\n"


def format_csv(tables: Tables, table: str, about: About) -> str:
  """Formats the "au" or "database" table as CSV: a line per row and F1 kind."""
  seeds = " ".join(map(str, tables.seeds))
  columns = [*Cell._fields[:-1], "subject_low", "subject_high", "always_positive"]
  lines = [["f1", table, *columns, "seeds"]]
  over_subjects = subject_intervals(tables, table)
  for kind in AVERAGES:
    for (name, cells), ends in zip(rows(tables, table), over_subjects, strict=True):
      values = [*cells[kind][:-1], *ends[kind], cells[kind].always]
      lines.append([kind, name, *(f"{value:.1f}" for value in values), seeds])
  return csv_document(tables, about, lines)


def write_tables(workdir: str | os.PathLike, tables: Tables, about: About) -> None:
  """Writes results.json, results.md, au_table.csv and database_table.csv.

  Args:
    workdir: the folder, made where absent.
    tables: from `cd6me_tables`.
    about: the run's title, config and versions.

  Raises:
    UserError: a file cannot be written.
    OSError: the folder cannot be made.
  """
  workdir = Path(workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  content = {"seed": tables.seeds[0]}
  for table in NAMES:
    content[f"{table}_table"] = {
      kind: {
        name: {
          key: round(value, 4)
          for key, value in (
            *cells[kind]._asdict().items(),
            *zip(("subject_low", "subject_high"), ends[kind], strict=True),
          )
        }
        for (name, cells), ends in zip(
          rows(tables, table), subject_intervals(tables, table), strict=True
        )
      }
      for kind in AVERAGES
    }
  content["fold_table"] = {
    kind: {
      name: dict(zip(COLUMNS, (round(value, 4) for value in values), strict=True))
      for name, values in fold_rows(tables, kind)
    }
    for kind in AVERAGES
  }
  content["detection"] = tables.detection.to_dict()
  write_atomically(workdir / "results.json", json_document(tables, about, content))
  for table in NAMES:
    write_atomically(workdir / f"{table}_table.csv", format_csv(tables, table, about))
  write_atomically(workdir / "results.md", format_markdown(tables, about))
