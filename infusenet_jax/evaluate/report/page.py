"""report.html: one file that shows a run, without scripts and without the network."""

import csv
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from infusenet_jax.clips.labels import DATABASES, database_name
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.protocol import AVERAGES
from infusenet_jax.evaluate.report.clips import (
  Sample,
  mistakes_section,
  samples_section,
)
from infusenet_jax.evaluate.report.figures import (
  Curve,
  bars,
  learning_curves,
  run_colour,
)
from infusenet_jax.evaluate.scores import Tables, aligned_runs
from infusenet_jax.evaluate.tables import (
  COLUMNS,
  fold_rows,
  headline,
  legend,
  rows,
  subtitle,
  to_json,
)
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically

GAP = '<td class="gap"></td>'
MOST_PANELS = 12  # Learning curves of more folds share one panel per database.


def read_curve(path: str | os.PathLike, seed: int, fold: str) -> Curve:
  """The curve in a CSV with the columns epoch and loss.

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
  *,
  title: str,
  simulated: bool,
  tables: Tables,
  predictions: Predictions,
  curves: Sequence[Curve],
  samples: Sequence[Sample],
  config: Mapping,
  versions: Mapping,
) -> None:
  """Writes the page: tables, figures, clips, worst mistakes, config and versions.

  Args:
    path: of the HTML file.
    title: of the run; "simulated data" or the databases' names are added to it.
    simulated: whether any clip is.
    tables: of `cd6me_tables(predictions)`.
    predictions: of all runs.
    curves: of `read_curve`, may be empty.
    samples: clips to be shown, may be empty.
    config: of the run, a dict or a ConfigDict.
    versions: {package: version}.
  """
  runs = aligned_runs(predictions)
  logits = np.mean([run.logits for run in runs], axis=0)
  sections = [
    ("Scores", _scores(tables, simulated)),
    ("AU table", _table(tables, "au")),
    ("Database table", _table(tables, "database")),
    ("Fold by fold", _folds(tables, runs[0], simulated)),
    ("Learning curves", _curves(curves, simulated)),
    ("Sample clips", samples_section(samples, runs[0], logits, simulated)),
    ("Worst mistakes", mistakes_section(runs[0], logits)),
    ("Config and versions", _config(config, versions)),
  ]
  head = headline(title, tables, simulated)
  badge = '<p class="badge">simulated data</p>' if simulated else ""
  names = ", ".join(database_name(key) for key in tables.databases)
  about = "<br>".join(escape(line) for line in (names, *legend(tables)[:-1]))
  body = "".join(
    f"<section><h2>{escape(subtitle(name, simulated))}</h2>{content}</section>"
    for name, content in sections
    if content
  )
  page = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    # Nothing is loaded and nothing runs, whatever the data hold.
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "img-src data:; style-src 'unsafe-inline'\">"
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f"<title>{escape(head)}</title><style>{STYLE}</style></head><body><header>"
    f"{badge}<h1>{escape(subtitle(title, simulated))}</h1><p>{about}</p></header>"
    f"<main>{body}</main></body></html>\n"
  )
  write_atomically(Path(path), page)


def _scores(tables: Tables, simulated: bool) -> str:
  cards = []
  for table, name in (("database", "database average"), ("au", "AU average")):
    average = rows(tables, table)[-1][1]
    for kind in AVERAGES:
      cell = average[kind]
      cards.append(
        f'<div class="card"><p>{kind} F1, {name}</p><p class="big">{cell.mean:.1f}</p>'
        f"<p>95 % interval {cell.low:.1f} to {cell.high:.1f}<br>always positive "
        f"{cell.always:.1f}</p></div>"
      )
  figures = []
  for kind in AVERAGES:
    title = subtitle(f"{kind} F1 of each AU in percent", simulated)
    figure = bars([(name, cells[kind]) for name, cells in rows(tables, "au")], title)
    figures.append(f"<figure><figcaption>{title}</figcaption>{figure}</figure>")
  key = (
    '<p class="key"><span><i class="bar"></i>F1, averaged over runs</span>'
    '<span><i class="whisker"></i>95 % interval over clips</span>'
    '<span><i class="tick"></i>always saying positive</span></p>'
  )
  figures = f'<div class="pair">{"".join(figures)}</div>'
  return f'<div class="cards">{"".join(cards)}</div>{key}{figures}'


def _table(tables: Tables, table: str) -> str:
  several = len(tables.seeds) > 1
  columns = ["F1", *(["± runs"] if several else []), "95 % interval", "always positive"]
  top = "".join(
    f'{GAP}<th colspan="{len(columns)}">{kind} F1</th>' for kind in AVERAGES
  )
  second = f"{GAP}{''.join(f'<th>{column}</th>' for column in columns)}" * 2
  body = []
  for name, cells in rows(tables, table):
    row = [f"<th>{escape(name)}</th>"]
    for kind in AVERAGES:
      cell = cells[kind]
      row.append(f"{GAP}<td><b>{cell.mean:.1f}</b></td>")
      if several:
        row.append(f"<td>{cell.std:.1f}</td>")
      row.append(
        f"<td>{cell.low:.1f} to {cell.high:.1f}</td><td>{cell.always:.1f}</td>"
      )
    body.append(f"<tr>{''.join(row)}</tr>")
  return (
    f'<div class="scroll"><table class="scores"><thead><tr><th></th>{top}</tr>'
    f"<tr><th></th>{second}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
  )


def _folds(tables: Tables, run: Predictions, simulated: bool) -> str:
  positives = [run.labels[run.database == key].sum(0) for key in tables.databases]
  head = "".join(f"<th>{column}</th>" for column in COLUMNS)
  out = [
    "<p>Under each F1 the number of clips that show the AU. Where none does, binary F1 "
    "is 0 by the protocol.</p>"
  ]
  for kind in AVERAGES:
    body = []
    for (name, values), counts in zip(fold_rows(tables, kind), positives, strict=True):
      cells = "".join(
        f'<td style="background:rgb(13 148 136 / {0.006 * value:.3f})">{value:.1f}'
        f"<small>{count}</small></td>"
        for value, count in zip(values, [*counts, ""], strict=True)
      )
      body.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    out.append(
      '<div class="scroll"><table class="heat">'
      f"<caption>{subtitle(f'{kind} F1', simulated)}</caption>"
      f"<thead><tr><th></th>{head}</tr></thead>"
      f"<tbody>{''.join(body)}</tbody></table></div>"
    )
  return "".join(out)


def _curves(curves: Sequence[Curve], simulated: bool) -> str:
  if not curves:
    return ""
  highest = max(max(curve.losses) for curve in curves)
  many = len({curve.fold for curve in curves}) > MOST_PANELS
  place = {key: i for i, key in enumerate(DATABASES)}
  panels: dict[str, list[Curve]] = {}
  for curve in sorted(curves, key=lambda c: (place.get(c.database, 6), c.fold, c.seed)):
    panels.setdefault(curve.database if many else curve.fold, []).append(curve)
  figures = []
  for name, panel in panels.items():
    title = subtitle(database_name(name), simulated)
    figures.append(f"<figure>{learning_curves(panel, title, highest)}</figure>")
  seeds = sorted({curve.seed for curve in curves})
  key = ""
  if not many:
    key = "".join(
      f'<span><i class="run" style="background:{run_colour(i)}"></i>seed {seed}</span>'
      for i, seed in enumerate(seeds)
    )
  return (
    f"<p>Training loss per epoch; each panel is named after what its fold left out."
    f'</p><p class="key">{key}</p><div class="panels">{"".join(figures)}</div>'
  )


def _config(config: Mapping, versions: Mapping) -> str:
  body = "".join(
    f"<tr><th>{escape(name)}</th><td>{escape(str(version))}</td></tr>"
    for name, version in versions.items()
  )
  return (
    f'<div class="pair"><pre>{escape(to_json(config))}</pre>'
    f'<div><table class="text"><tbody>{body}</tbody></table></div></div>'
  )


STYLE = """
:root{--paper:#f7f6f2;--card:#fff;--ink:#1d2733;--muted:#66717d;--line:#e2e0d9;
--accent:#0d9488;--other:#d9560b;--bad:#b42318;--warn:#9a5b00;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--paper:#12171d;--card:#1a2129;--ink:#e6eaee;
--muted:#97a3af;--line:#2d3742;--accent:#2dbdae;--other:#f08a4b;--bad:#f38b82;
--warn:#e8b25a}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
header,main{max-width:1180px;margin:0 auto;padding:0 24px}
header{padding-top:36px}
h1{font-size:30px;line-height:1.2;margin:8px 0}
h2{font-size:19px;margin:0 0 12px}
h3{font-size:15px;margin:0 0 8px}h3 span{color:var(--muted);font-weight:400}
header p,section>p,figcaption,.card p{color:var(--muted);margin:0 0 10px}
svg .strong{font-weight:700}
.badge{display:inline-block;margin:0;padding:2px 12px;border-radius:20px;color:#fff;
font-weight:600;background:#c2410c}header .badge{color:#fff}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:22px 24px;margin:20px 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:14px}
.card{border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.card p{margin:0}.card .big{font-size:36px;line-height:1.25;font-weight:650;
color:var(--ink)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(400px,100%),1fr));
gap:28px}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:18px}
figure{margin:0}svg{width:100%;max-width:640px;height:auto;display:block}
svg text{font:12px system-ui,sans-serif;font-variant-numeric:tabular-nums}
.key{margin:18px 0 10px;display:flex;gap:4px 24px;flex-wrap:wrap}
.key span{display:flex;gap:8px;align-items:center}
.bar{width:24px;height:12px;border-radius:2px;background:var(--accent);opacity:.6}
.whisker{width:24px;height:2px;background:var(--ink)}
.tick{width:3px;height:16px;background:var(--other)}.run{width:22px;height:3px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:5px 9px;text-align:right;border-bottom:1px solid var(--line);
white-space:nowrap}
thead th{color:var(--muted);font-weight:500;font-size:13px}
tbody th,.text td,.text th{text-align:left}tbody th{font-weight:600}
tbody tr:last-child td,tbody tr:last-child th{border-bottom:0}
thead th[colspan]{text-align:center;color:var(--ink);font-weight:650}
.scores .gap{width:34px;border:0}
.scores tbody tr:last-child{border-top:2px solid var(--muted)}
caption{text-align:left;font-weight:600;padding:10px 0 6px}
.heat td{text-align:center;padding:4px 6px;border:2px solid var(--card)}
.heat th{text-align:center;padding:4px 6px}.heat tbody th{text-align:left}
small{display:block;color:var(--muted);font-size:11px;line-height:1.1;min-height:1.1em}
.samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(460px,100%),1fr));
gap:18px}
article{border:1px solid var(--line);border-radius:10px;padding:14px 16px}
article p{margin:10px 0 0}
.images{display:grid;grid-template-columns:repeat(auto-fit,minmax(110px,1fr));gap:8px}
.images img{width:100%;border-radius:6px;display:block}
.images figcaption{font-size:12px;margin:3px 0 0}
.chip{display:inline-block;padding:1px 9px;border-radius:20px;font-size:13px;
border:1px solid currentColor;margin:0 6px 4px 0}
.found{color:var(--accent)}.missed{color:var(--warn)}.false{color:var(--bad)}
pre{margin:0;padding:14px;background:var(--paper);border-radius:8px;overflow:auto;
font-size:12.5px;line-height:1.45}
@media print{section{break-inside:avoid}}
"""
