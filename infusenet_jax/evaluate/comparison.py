"""Compares models in tables of averages, intervals and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infusenet_jax.clips.labels import AUS
from infusenet_jax.evaluate.curves import average_precision
from infusenet_jax.evaluate.documents import (
  About,
  csv_document,
  headline,
  json_document,
  markdown_ending,
  markdown_heading,
  markdown_text,
)
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.protocol import AVERAGES
from infusenet_jax.evaluate.scores import Tables, aligned_runs, compare
from infusenet_jax.evaluate.tables import BY_AVERAGE, NAMES, basis
from infusenet_jax.evaluate.thresholds import SAID_OF_FITTED
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.text import markdown_table

SCORE = ("mean", "std", "low", "high")
BY_SUBJECT = ("subject_low", "subject_high")
DIFFERENCE = (
  "difference",
  "difference_low",
  "difference_high",
  "difference_subject_low",
  "difference_subject_high",
)


@dataclass(frozen=True)
class Row:
  """The scores of one variant, and its differences from the reference.

  tables: of its predictions.
  differences: {table: {F1 kind: (difference, low, high over clips, low, high over
    subjects)}}, in percent; None for the reference itself, and in a study without one.
  precisions: (13,) average precision of each AU over all clips, then their mean, in
    percent, means over runs: how well logits rank the clips, wherever they are cut; NaN
    where no clip shows the AU.
  fitted: whether it was decided at fitted thresholds, not at 0.
  """

  tables: Tables
  differences: dict[str, dict[str, tuple[float, ...]]] | None
  precisions: np.ndarray
  fitted: bool = False

  def values(self, table: str, kind: str) -> dict[str, float]:
    """Returns a table's average and, if known, its difference, in percent, by name.

    The names are those in `SCORE`, `BY_SUBJECT` and `DIFFERENCE`.
    """
    scores = getattr(self.tables, table)[kind]
    values = {name: 100 * float(getattr(scores, name)[-1]) for name in SCORE}
    ends = self.tables.subjects[table][kind]
    values |= {
      name: 100 * float(end[-1]) for name, end in zip(BY_SUBJECT, ends, strict=True)
    }
    if self.differences:
      values |= dict(zip(DIFFERENCE, self.differences[table][kind], strict=True))
    return values


def compared(
  tables: Tables,
  predictions: Predictions,
  reference: Predictions | None,
  fitted: bool = False,
) -> Row:
  """Compares a scored variant with the reference, on the same clips.

  Args:
    tables: of the variant's predictions.
    predictions: of the variant.
    reference: predictions of the reference. If this is None or `predictions` itself,
      nothing is compared.
    fitted: whether the variant was decided at fitted thresholds.

  Raises:
    UserError: the two have predictions of different clips.
  """
  differences = None
  if reference is not None and reference is not predictions:
    clips, subjects = (
      compare(predictions, reference, by=by) for by in ("clips", "subjects")
    )
    differences = {
      table: {
        kind: tuple(100 * x for x in (*values, *subjects[table][kind][1:]))
        for kind, values in kinds.items()
      }
      for table, kinds in clips.items()
    }
  return Row(tables, differences, _average_precisions(predictions), fitted)


def _average_precisions(predictions: Predictions) -> np.ndarray:
  runs = [
    [average_precision(*of) for of in zip(run.labels.T, run.logits.T, strict=True)]
    for run in aligned_runs(predictions)
  ]
  each = 100 * np.mean(runs, axis=0)
  defined = each[~np.isnan(each)]
  return np.append(each, defined.mean() if len(defined) else np.nan)


def write_study(
  workdir: Path | None,
  study: str,
  rows: Mapping[str, Row],
  about: About,
  *,
  tables: Sequence[tuple[str, Sequence[tuple[str, str]]]],
  reference: str,
) -> str:
  """Writes `study`.md, .csv and .json into `workdir` and returns the tables as text.

  `study`-by-au.csv holds each variant's F1 and average precision AU by AU.

  Args:
    workdir: folder of the study; None to write nothing.
    study: its name; the files are called after it.
    rows: {variant: its scores} of all variants that are finished, at least one.
    about: the study's title, config and versions.
    tables: of each table (title, ((name of the row, variant), ...)). A row is left out
      if its variant is not in `rows`, and a table if it has no row.
    reference: the variant that the others were compared with, or "".

  Raises:
    UserError: a file cannot be written.
  """
  shown = {
    name: {label: variant for label, variant in of if variant in rows}
    for name, of in tables
  }
  shown = {name: of for name, of in shown.items() if of}
  first = next(iter(rows.values())).tables
  text = _markdown(about, first, shown, rows, reference)
  if workdir is None:
    return text
  ending = "\n".join(markdown_ending(about)) + "\n"
  write_atomically(workdir / f"{study}.md", text + ending)
  lines = csv_document(first, about, _csv_lines(shown, rows))
  write_atomically(workdir / f"{study}.csv", lines)
  by_au = csv_document(first, about, _lines_by_au(rows))
  write_atomically(workdir / f"{study}-by-au.csv", by_au)
  content = {
    "reference": reference,
    "tables": shown,
    "variants": {
      name: {
        table: {
          kind: {k: round(v, 4) for k, v in row.values(table, kind).items()}
          for kind in AVERAGES
        }
        for table in BY_AVERAGE
      }
      | {"average_precision": _number(row.precisions[-1])}
      for name, row in rows.items()
    },
  }
  write_atomically(workdir / f"{study}.json", json_document(first, about, content))
  return text


def _markdown(
  about: About,
  first: Tables,
  shown: Mapping[str, Mapping[str, str]],
  rows: Mapping[str, Row],
  reference: str,
) -> str:
  compared = f"; difference: to {reference}, paired" if reference in rows else ""
  runs = "±: over runs; " if len(first.seeds) > 1 else ""
  intervals = "[ ]: 95 % interval over clips, ( ): over subjects"
  signs = f"{runs}{intervals}{compared}; bold: highest mean"
  signs += "; AP: average precision, mean over AUs"
  lines = [f"# {markdown_text(headline(first, about))}", ""]
  lines += [f"* {line}" for line in (*basis(first, about.simulated), signs)]
  if fitted := [markdown_text(name) for name, row in rows.items() if row.fitted]:
    lines.append(f"* {SAID_OF_FITTED}, not at 0: {', '.join(fitted)}")
  for name, of in shown.items():
    mine = {label: rows[variant] for label, variant in of.items()}
    for table in BY_AVERAGE:
      title = f"{name}, {NAMES[table].average}"
      lines += markdown_heading(title, about.data)
      lines.append(markdown_table(_cells(mine, table), numbers=False))
  return "\n".join(lines) + "\n"


def _cells(rows: Mapping[str, Row], table: str) -> list[list[str]]:
  """Makes a table's cells: the heading, a line per row, a line of "always positive"."""
  highest = max(row.values(table, "binary")["mean"] for row in rows.values())
  kinds = [f"{kind} F1 [clips] (subjects)" for kind in AVERAGES]
  differences = [f"{kind} difference [clips] (subjects)" for kind in AVERAGES]
  lines = [["", *kinds, "AP", *differences]]
  for name, row in rows.items():
    values = [row.values(table, kind) for kind in AVERAGES]
    best = values[0]["mean"] == highest
    deviation = " ± {std:.1f}" * (len(row.tables.seeds) > 1)
    form = "{mean:.1f}" + deviation + " [{low:.1f}, {high:.1f}]"
    form += " ({subject_low:.1f}, {subject_high:.1f})"
    line = [f"**{name}**" if best else name, *(form.format(**v) for v in values)]
    line.append(_shown(row.precisions[-1]))
    form = "{difference:+.1f} [{difference_low:+.1f}, {difference_high:+.1f}]"
    form += " ({difference_subject_low:+.1f}, {difference_subject_high:+.1f})"
    line += [form.format(**v) if "difference" in v else "" for v in values]
    lines.append(line)
  always = next(iter(rows.values())).tables.always[table]
  scores = [f"{100 * always[kind][-1]:.1f}" for kind in AVERAGES]
  lines.append(["always positive", *scores, "", "", ""])
  if not any(line[-1] for line in lines[1:]):
    lines = [line[:4] for line in lines]
  return lines


def _lines_by_au(rows: Mapping[str, Row]) -> list[list[str]]:
  """Makes the heading and, of each variant, its F1 of both kinds and its precision."""
  lines = [["variant", "measure", *(f"AU{au}" for au in AUS), "average", "seeds"]]
  for name, row in rows.items():
    scores = {f"{kind} F1": 100 * row.tables.au[kind].mean for kind in AVERAGES}
    seeds = " ".join(map(str, row.tables.seeds))
    for measure, values in (scores | {"average precision": row.precisions}).items():
      lines.append([name, measure, *map(_shown, values), seeds])
  return lines


def _shown(value: float) -> str:
  return "" if np.isnan(value) else f"{value:.1f}"


def _number(value: float) -> float | None:
  return None if np.isnan(value) else round(float(value), 4)


def _csv_lines(
  shown: Mapping[str, Mapping[str, str]], rows: Mapping[str, Row]
) -> list[list[str]]:
  """Makes the CSV's heading and a line for each row of a table, average and F1 kind."""
  columns = (*SCORE, *BY_SUBJECT, *DIFFERENCE)
  lines = [["table", "row", "variant", "average", "f1", *columns, "seeds"]]
  for name, of in shown.items():
    for label, variant in of.items():
      row = rows[variant]
      seeds = " ".join(map(str, row.tables.seeds))
      for table in BY_AVERAGE:
        for kind in AVERAGES:
          values = {k: f"{v:.1f}" for k, v in row.values(table, kind).items()}
          found = [values.get(column, "") for column in columns]
          average = NAMES[table].average
          lines.append([name, label, variant, average, kind, *found, seeds])
  return lines
