"""The AU table and the database table in LaTeX, as a paper prints them.

They need the package booktabs. What they came from stands below each as comments.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from infusenet_jax.clips.labels import database_name
from infusenet_jax.evaluate.documents import About, headline, to_json
from infusenet_jax.evaluate.protocol import AVERAGES
from infusenet_jax.evaluate.scores import Tables
from infusenet_jax.evaluate.tables import COLUMNS, NAMES, basis, rows
from infusenet_jax.runtime.files import write_atomically

_ESCAPED = {
  "\\": r"\textbackslash{}",
  "~": r"\textasciitilde{}",
  "^": r"\textasciicircum{}",
  **{sign: rf"\{sign}" for sign in "&%$#_{}"},
}


def write_latex(
  folder: Path,
  models: Mapping[str, Tables],
  about: About,
  fingerprints: Mapping[str, Mapping[str, str]],
) -> None:
  """Writes au_table.tex and database_table.tex.

  Args:
    folder: where to; it is there.
    models: tables by the model's name, at least one, all of the same clips.
    about: what the tables are of.
    fingerprints: by model, what each database's records were made from.

  Raises:
    UserError: a file cannot be written.
  """
  for table in NAMES:
    text = latex_table(models, table, about) + _comments(about, fingerprints)
    write_atomically(folder / f"{table}_table.tex", text)


def latex_table(models: Mapping[str, Tables], table: str, about: About) -> str:
  """Lays the "au" or "database" table out: a line per model below each kind of F1.

  Averages over several runs have their deviation; of several models the highest average
  is bold.
  """
  first = next(iter(models.values()))
  columns = COLUMNS
  if table == "database":
    columns = [*map(database_name, first.databases), "Average"]
  name = NAMES[table].table
  data = "; ".join([headline(first, about), *basis(first, about.simulated)])
  lines = [
    r"\begin{table*}",
    r"  \centering",
    rf"  \caption{{{latex_text(f'{name}. {data}.')}}}",
    rf"  \begin{{tabular}}{{l*{{{len(columns)}}}{{r}}}}",
    r"    \toprule",
    _line(["", *map(latex_text, columns)]),
  ]
  for kind in AVERAGES:
    lines.append(r"    \midrule")
    lines.append(_line([rf"\multicolumn{{{len(columns) + 1}}}{{l}}{{{kind} F1}}"]))
    highest = max(getattr(of, table)[kind].mean[-1] for of in models.values())
    for model, of in models.items():
      *cells, average = (cells[kind] for _, cells in rows(of, table))
      last = f"{average.mean:.1f}"
      if len(models) > 1 and getattr(of, table)[kind].mean[-1] == highest:
        last = rf"\textbf{{{last}}}"
      if len(of.seeds) > 1:
        last += rf" $\pm$ {average.std:.1f}"
      means = [f"{cell.mean:.1f}" for cell in cells]
      lines.append(_line([latex_text(model), *means, last]))
    always = [f"{cells[kind].always:.1f}" for _, cells in rows(first, table)]
    lines.append(_line(["always positive", *always]))
  lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table*}"]
  return "\n".join(lines) + "\n"


def latex_text(text: str) -> str:
  """Escapes what LaTeX would take for more than text."""
  return re.sub(
    r"[\\~^&%$#_{}]", lambda found: _ESCAPED[found[0]], " ".join(text.split())
  )


def _line(cells: Sequence[str]) -> str:
  return f"    {' & '.join(cells)} \\\\"


def _comments(about: About, fingerprints: Mapping[str, Mapping[str, str]]) -> str:
  parts = {
    "config": about.config,
    "versions": about.versions,
    "records": fingerprints,
  }
  lines = [f"{name}: {to_json(value, indent=None)}" for name, value in parts.items()]
  return "".join(f"% {line}\n" for line in lines)
