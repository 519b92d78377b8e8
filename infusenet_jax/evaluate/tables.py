"""Result tables as text, Markdown, CSV and JSON, F1 in percent with one decimal."""

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from infusenet_jax.clips.labels import AUS, DATABASES, database_name
from infusenet_jax.evaluate.protocol import AVERAGES
from infusenet_jax.evaluate.scores import Tables
from infusenet_jax.runtime.files import write_atomically

COLUMNS = [*(f"AU{au}" for au in AUS), "Average"]


class Cell(NamedTuple):
  """An F1 in percent: mean and standard deviation over runs, its 95 % interval over
  clips, and what always saying "positive" scores."""

  mean: float
  std: float
  low: float
  high: float
  always: float


def headline(title: str, tables: Tables, simulated: bool) -> str:
  """The title with what the clips are: "simulated data" or the databases' names."""
  names = ", ".join(database_name(key) for key in tables.databases)
  return f"{title} ({'simulated data' if simulated else names})"


def subtitle(title: str, simulated: bool) -> str:
  """A table's title, which says it again where the clips are simulated."""
  return f"{title} (simulated data)" if simulated else title


def legend(tables: Tables) -> list[str]:
  """What the tables were computed from; in the last line, what their signs mean."""
  several = len(tables.seeds) > 1
  seeds = ", ".join(map(str, tables.seeds))
  runs = f"{len(tables.seeds)} runs (seeds {seeds})" if several else f"seed {seeds}"
  deviation = "±: over runs; " if several else ""
  lines = [f"F1 in percent; {sum(tables.clips)} clips, {runs}"]
  count = sum(key in DATABASES for key in tables.databases)
  others = len(tables.databases) - count
  if count < len(DATABASES) or others:
    more = f" and {others} other" if others else ""
    lines.append(
      f"{count} of the {len(DATABASES)} databases{more}: not comparable with CD6ME"
      " results"
    )
  if not tables.cross_database:
    lines.append("folds are not one database each: not comparable with CD6ME results")
  return [
    *lines,
    f"{deviation}[ ]: 95 % interval over clips; always+: always says positive",
  ]


def rows(tables: Tables, table: str) -> list[tuple[str, dict[str, Cell]]]:
  """(row's name, {"binary": Cell, "macro": Cell}) of the "au" or "database" table."""
  names = COLUMNS
  if table == "database":
    names = [*(database_name(key) for key in tables.databases), "Average"]
  scores, always = getattr(tables, table), getattr(tables, f"{table}_always")
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


def fold_rows(tables: Tables, kind: str) -> list[tuple[str, list[float]]]:
  """(database, its 12 AUs' F1 and their average in percent) of the per-fold table."""
  return [
    (database_name(key), [100 * float(value) for value in tables.fold[kind][i]])
    for i, key in enumerate(tables.databases)
  ]


def format_tables(tables: Tables, *, title: str, simulated: bool) -> str:
  """The AU and database tables for a terminal, beside "always positive"; 79 wide."""
  several = len(tables.seeds) > 1
  width = 32 if several else 26

  def cell(cell: Cell) -> str:
    std = f" ±{cell.std:4.1f}" if several else ""
    return (
      f"{cell.mean:5.1f}{std} [{cell.low:5.1f},{cell.high:5.1f}] {cell.always:6.1f}"
    )

  lines = [headline(title, tables, simulated), *legend(tables)]
  for table, name in (("au", "AU table"), ("database", "Database table")):
    lines += ["", subtitle(name, simulated)]
    lines.append(
      f"{'':<11}" + "".join(f"{kind + ' F1':<{width + 2}}" for kind in AVERAGES)
    )
    header = f"{'model' + ' ' * (width - 15):>{width - 9}} always+"
    lines.append(f"{'':<11}" + "".join(f"{header:<{width + 2}}" for _ in AVERAGES))
    body = rows(tables, table)
    for name, cells in body:
      if name == "Average":
        lines.append("-" * (11 + 2 * width))
      lines.append(f"{name:<11}" + "  ".join(cell(cells[kind]) for kind in AVERAGES))
  return "\n".join(line.rstrip() for line in lines) + "\n"


def format_comparison(
  differences: Mapping[str, Mapping[str, tuple[float, float, float]]],
  *,
  title: str,
  simulated: bool,
) -> str:
  """The paired differences of `tables.compare` in points, for a terminal."""
  lines = [subtitle(f"{title} minus the others, same clips", simulated)]
  for table, kinds in differences.items():
    for kind, values in kinds.items():
      difference, low, high = (100 * value for value in values)
      name = f"{'AU' if table == 'au' else 'Database'} table, {kind} F1, average"
      lines.append(f"{name:<36}{difference:+6.1f} points [{low:+6.1f},{high:+6.1f}]")
  return "\n".join(lines) + "\n"


def format_markdown(
  tables: Tables,
  *,
  title: str,
  simulated: bool,
  config: Mapping,
  versions: Mapping,
) -> str:
  """All tables, the seeds, the config and the versions as Markdown."""
  lines = [f"# {headline(title, tables, simulated)}", ""]
  lines += [f"* {line}" for line in legend(tables)]
  header = "".join(
    f" | {kind} F1 | [{kind} 95 %] | {kind} always+" for kind in AVERAGES
  )
  for table, name in (("au", "AU table"), ("database", "Database table")):
    lines += ["", f"## {subtitle(name, simulated)}", ""]
    first = "AU" if table == "au" else "database"
    lines += [f"| {first}{header} |", "|---" + "|---:" * 6 + "|"]
    for name, cells in rows(tables, table):
      row = [f"**{name}**" if name == "Average" else name]
      for kind in AVERAGES:
        cell = cells[kind]
        std = f" ± {cell.std:.1f}" if len(tables.seeds) > 1 else ""
        row += [f"{cell.mean:.1f}{std}", f"[{cell.low:.1f}, {cell.high:.1f}]"]
        row += [f"{cell.always:.1f}"]
      lines.append(f"| {' | '.join(row)} |")
  for kind in AVERAGES:
    lines += ["", f"## {subtitle(f'Fold by fold, {kind} F1', simulated)}", ""]
    lines += [f"| database | {' | '.join(COLUMNS)} |", "|---" + "|---:" * 13 + "|"]
    for name, values in fold_rows(tables, kind):
      lines.append(f"| {name} | {' | '.join(f'{value:.1f}' for value in values)} |")
  lines += ["", f"## {subtitle('Config and versions', simulated)}", ""]
  lines += ["```json", to_json(config), "```", ""]
  lines += [f"* {package} {version}" for package, version in versions.items()]
  return "\n".join(lines) + "\n"


def format_csv(
  tables: Tables,
  table: str,
  *,
  title: str,
  simulated: bool,
  config: Mapping,
  versions: Mapping,
) -> str:
  """The "au" or "database" table with one line per row and F1 kind.

  Each line ends with the seeds between spaces and with config and versions as JSON.
  """
  file = io.StringIO()
  writer = csv.writer(file, lineterminator="\n")
  about = {
    "seeds": " ".join(map(str, tables.seeds)),
    "config": to_json(config, indent=None),
    "versions": to_json(versions, indent=None),
  }
  scores = [*Cell._fields[:-1], "always_positive"]
  writer.writerow(["title", "f1", table, *scores, *about])
  for kind in AVERAGES:
    for name, cells in rows(tables, table):
      values = [f"{value:.1f}" for value in cells[kind]]
      first = [headline(title, tables, simulated), kind, name]
      writer.writerow([*first, *values, *about.values()])
  return file.getvalue()


def to_json(value, indent: int | None = 2) -> str:
  """JSON; a ConfigDict is its dict, and what JSON does not know is its text."""
  return json.dumps(
    value,
    indent=indent,
    default=lambda other: other.to_dict() if hasattr(other, "to_dict") else str(other),
  )


def write_tables(
  workdir: str | os.PathLike,
  tables: Tables,
  *,
  title: str,
  simulated: bool,
  config: Mapping,
  seed: int,
  versions: Mapping,
) -> None:
  """Writes results.json, results.md, au_table.csv and database_table.csv.

  Args:
    workdir: the folder, made where absent.
    tables: of `cd6me_tables`.
    title: of the run; "simulated data" or the databases' names are added to it.
    simulated: whether any clip is.
    config: of the run, a dict or a ConfigDict.
    seed: the first run's.
    versions: {package: version}.
  """
  workdir = Path(workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  about = {
    "title": title,
    "simulated": simulated,
    "config": config,
    "versions": dict(versions),
  }
  results = {
    "title": headline(title, tables, simulated),
    "simulated": bool(simulated),
    "unit": "percent",
    "clips": dict(zip(tables.databases, tables.clips, strict=True)),
    "seed": seed,
    "seeds": tables.seeds,
  }
  for table in ("au", "database"):
    results[f"{table}_table"] = {
      kind: {
        name: {key: round(value, 4) for key, value in cells[kind]._asdict().items()}
        for name, cells in rows(tables, table)
      }
      for kind in AVERAGES
    }
  results["fold_table"] = {
    kind: {
      name: dict(zip(COLUMNS, (round(value, 4) for value in values), strict=True))
      for name, values in fold_rows(tables, kind)
    }
    for kind in AVERAGES
  }
  results |= {"config": config, "versions": about["versions"]}
  write_atomically(workdir / "results.json", to_json(results) + "\n")
  for table in ("au", "database"):
    write_atomically(workdir / f"{table}_table.csv", format_csv(tables, table, **about))
  write_atomically(workdir / "results.md", format_markdown(tables, **about))
