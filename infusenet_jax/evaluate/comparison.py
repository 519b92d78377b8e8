"""The tables of a study: many models' averages, intervals and paired differences."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.protocol import AVERAGES
from infusenet_jax.evaluate.scores import Tables, cd6me_tables, compare
from infusenet_jax.evaluate.tables import headline, legend, subtitle, to_json
from infusenet_jax.runtime.files import write_atomically

OF = {"database": "database average", "au": "AU average"}


@dataclass(frozen=True)
class Row:
  """A variant's tables and, in points, how much more it scores than the reference.

  differences: (difference, low, high) by table and F1 kind, as of `tables.compare`, in
  percent; None of the reference itself, or where there is none.
  """

  tables: Tables
  differences: dict[str, dict[str, tuple[float, ...]]] | None
  simulated: bool

  def values(self, table: str, kind: str) -> dict[str, float]:
    """Mean, deviation over runs and 95 % interval over clips of a table's average."""
    scores = getattr(self.tables, table)[kind]
    values = {name: 100 * float(value[-1]) for name, value in vars(scores).items()}
    if self.differences:
      names = ("difference", "difference_low", "difference_high")
      values |= dict(zip(names, self.differences[table][kind], strict=True))
    return values


def score(predictions: Predictions, reference: Predictions | None) -> Row:
  """The row of a variant, compared with the reference on the same clips."""
  differences = None
  if reference is not None and reference is not predictions:
    differences = {
      table: {kind: tuple(100 * x for x in values) for kind, values in kinds.items()}
      for table, kinds in compare(predictions, reference).items()
    }
  return Row(cd6me_tables(predictions), differences, predictions.simulated)


def write_study(
  workdir: Path,
  study: str,
  rows: Mapping[str, Row],
  *,
  tables: Sequence[tuple[str, Sequence[tuple[str, str]]]],
  reference: str,
  config: Mapping,
  versions: Mapping[str, str],
) -> str:
  """Writes `study`.md, .csv and .json into `workdir` and returns the tables as text.

  Args:
    workdir: of the study.
    study: its name.
    rows: by variant, of those that are finished: at least one.
    tables: (title, ((row's name, variant), ...)) of each; a row whose variant is
      unfinished is left out, and so is a table without rows.
    reference: the variant that the others were compared with, or "".
    config, versions: what ran.
  """
  first = next(iter(rows.values()))
  simulated = any(row.simulated for row in rows.values())
  title = headline(f"Study: {study}", first.tables, simulated)
  tables = {
    name: {label: variant for label, variant in of if variant in rows}
    for name, of in tables
  }
  tables = {name: of for name, of in tables.items() if of}
  compared = f"; difference: to {reference}, paired" if reference in rows else ""
  *basis, _ = legend(first.tables)
  runs = "±: over runs; " if len(first.tables.seeds) > 1 else ""
  signs = f"{runs}[ ]: 95 % interval over clips{compared}; bold: highest mean"
  lines = [f"# {title}", "", *(f"* {line}" for line in (*basis, signs))]
  for name, of in tables.items():
    for table, average in OF.items():
      lines += ["", f"## {subtitle(f'{name}, {average}', simulated)}", ""]
      lines += _markdown({label: rows[variant] for label, variant in of.items()}, table)
  text = "\n".join(lines) + "\n"
  ran = ["", f"## {subtitle('Config and versions', simulated)}", ""]
  ran += ["```json", to_json(config), "```", ""]
  ran += [f"* {package} {version}" for package, version in versions.items()]
  write_atomically(workdir / f"{study}.md", text + "\n".join(ran) + "\n")
  about = {"config": config, "versions": versions}
  write_atomically(workdir / f"{study}.csv", _csv(title, rows, tables, about))
  results = {
    "title": title,
    "simulated": simulated,
    "unit": "percent",
    "clips": dict(zip(first.tables.databases, first.tables.clips, strict=True)),
    "seeds": first.tables.seeds,
    "reference": reference,
    "tables": tables,
    "variants": {
      name: {
        table: {
          kind: {k: round(v, 4) for k, v in row.values(table, kind).items()}
          for kind in AVERAGES
        }
        for table in OF
      }
      for name, row in rows.items()
    },
  } | about
  write_atomically(workdir / f"{study}.json", to_json(results) + "\n")
  return text


def _markdown(rows: Mapping[str, Row], table: str) -> list[str]:
  """One line per row, in columns that are aligned in a terminal as well."""
  highest = max(row.values(table, "binary")["mean"] for row in rows.values())
  kinds = [f"{kind} F1 [95 %]" for kind in AVERAGES]
  lines = [["", *kinds, *(f"{kind} difference [95 %]" for kind in AVERAGES)]]
  for name, row in rows.items():
    values = [row.values(table, kind) for kind in AVERAGES]
    best = values[0]["mean"] == highest
    line = [f"**{name}**" if best else name]
    form = "{mean:.1f} ± {std:.1f} [{low:.1f}, {high:.1f}]"
    if len(row.tables.seeds) == 1:
      form = "{mean:.1f} [{low:.1f}, {high:.1f}]"
    line += [form.format(**v) for v in values]
    form = "{difference:+.1f} [{difference_low:+.1f}, {difference_high:+.1f}]"
    line += [form.format(**v) if "difference" in v else "" for v in values]
    lines.append(line)
  always = getattr(next(iter(rows.values())).tables, f"{table}_always")
  lines.append(
    ["always positive", *(f"{100 * always[kind][-1]:.1f}" for kind in AVERAGES), "", ""]
  )
  if not any(line[-1] for line in lines[1:]):
    lines = [line[:3] for line in lines]
  return _aligned(lines)


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  padded = [
    [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)]
    for line in lines
  ]
  padded.insert(1, ["-" * width for width in widths])
  return [f"| {' | '.join(line)} |" for line in padded]


def _csv(
  title: str,
  rows: Mapping[str, Row],
  tables: Mapping[str, Mapping[str, str]],
  about: Mapping[str, Mapping],
) -> str:
  """One line per table's row, average and F1 kind.

  Each ends with the seeds between spaces and with config and versions as JSON.
  """
  file = io.StringIO()
  writer = csv.writer(file, lineterminator="\n")
  scores = ("mean", "std", "low", "high")
  differences = ("difference", "difference_low", "difference_high")
  header = ("title", "table", "row", "variant", "average", "f1", *scores, *differences)
  writer.writerow([*header, "seeds", *about])
  ran = [to_json(value, indent=None) for value in about.values()]
  for name, of in tables.items():
    for label, variant in of.items():
      row = rows[variant]
      last = [" ".join(map(str, row.tables.seeds)), *ran]
      for table, average in OF.items():
        for kind in AVERAGES:
          values = {k: f"{v:.1f}" for k, v in row.values(table, kind).items()}
          found = [values.get(key, "") for key in (*scores, *differences)]
          writer.writerow([title, name, label, variant, average, kind, *found, *last])
  return file.getvalue()
