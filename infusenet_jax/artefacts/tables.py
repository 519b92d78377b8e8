"""Writes the tables of the artefact study as JSON, CSV and Markdown."""

from collections.abc import Mapping
from pathlib import Path

from infusenet_jax.artefacts.scores import NORMAL, Results, shown_evidence
from infusenet_jax.clips.labels import AUS
from infusenet_jax.evaluate.documents import (
  SIMULATED,
  markdown_heading,
  subtitle,
  to_csv,
  to_json,
)
from infusenet_jax.evaluate.protocol import AVERAGES
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.text import markdown_table

_AUS = [f"AU{au}" for au in AUS]
_EVENLY = {"whole face, evenly": "region", "whole crop, evenly": "crop"}


def write_study(out: Path, results: Results, about: Mapping) -> str:
  """Writes artefacts.json, .csv and .md; returns the Markdown's main tables as text.

  The Markdown file has in addition the tables by AU, and `about`.

  Args:
    out: folder, made if it is missing.
    results: from `summarise`.
    about: what the runs were trained on, their folders and the versions.
  """
  out.mkdir(parents=True, exist_ok=True)
  title = subtitle("Artefact study", SIMULATED)
  whole = {"title": title, "simulated": True, "results": results, **about}
  write_atomically(out / "artefacts.json", to_json(whole) + "\n")
  write_atomically(out / "artefacts.csv", _csv(title, results))
  shown = [f"# {title}", "", *_robustness(results), *_response(results)]
  shown += _pointing(results)
  text = "\n".join(shown) + "\n"
  more = [*_robustness_by_au(results), *_alarms_by_au(results)]
  more += [*_pointing_by_au(results), "```json", to_json(about), "```"]
  write_atomically(out / "artefacts.md", text + "\n".join(more) + "\n")
  return text


def _heading(text: str) -> list[str]:
  return markdown_heading(text, SIMULATED)


def _cell(found: Mapping[str, float], sign: str = "") -> str:
  mean, low, high = (format(found[k], f"{sign}.1f") for k in ("mean", "low", "high"))
  return f"{mean} [{low}, {high}]"


def _robustness(results: Results) -> list[str]:
  lines = _heading("Robustness: F1 in percent, database average, [95 % over clips]")
  sets = list(next(iter(results.values()))["robustness"])
  stronger = sets[sets.index(NORMAL) + 1 :]
  against = [f"{_words(name)} minus {_words(NORMAL)}" for name in stronger]
  rows = [["run", "F1", *map(_words, sets), *against]]
  for run, found in results.items():
    for kind in AVERAGES:
      by_set = {name: scores[kind] for name, scores in found["robustness"].items()}
      cells = [_cell(by_set[name]) for name in sets]
      cells += [_cell(by_set[name]["against_normal"], "+") for name in stronger]
      rows.append([run, kind, *cells])
  return [*lines, markdown_table(rows)]


def _response(results: Results) -> list[str]:
  lines = _heading("Artefact response: false alarms on faces at rest")
  lines += ["Percent of clips, mean over AUs, [95 % over clips].", ""]
  sets = list(next(iter(results.values()))["response"])
  columns = ["run", *map(_words, sets)]
  each = {run: found["response"] for run, found in results.items()}
  rows = [[run, *(_cell(s[n]["alarms"]) for n in sets)] for run, s in each.items()]
  lines.append(markdown_table([columns, *rows]))
  lines += ["", "Mean change of a logit against no nuisance (mean |change|).", ""]
  rows = [
    [
      run,
      *(f"{s[n]['change']['mean']:+.2f} ({s[n]['moved']['mean']:.2f})" for n in sets),
    ]
    for run, s in each.items()
  ]
  return [*lines, markdown_table([columns, *rows])]


def _pointing(results: Results) -> list[str]:
  lines = _heading("Pointing: share of the evidence where the face truly moved")
  lines += [
    "Percent, mean over AUs, [95 % over clips]. Saliency is of one AU's logit; the",
    "region is where the face moved in that clip, by whichever AUs. Evenly: what",
    "looking evenly would score, the region's share of the face or of the crop; a map",
    "of few cells cannot score much better. Inputs are what the branches are given.",
    "",
  ]
  sets = list(next(iter(results.values()))["pointing"])
  rows = [["run", "evidence", *map(_words, sets)]]
  for run, found in results.items():
    of = found["pointing"]
    for label, name in (_EVENLY | shown_evidence(of[NORMAL])).items():
      rows.append([run, label, *(_cell(of[s][name]) for s in sets)])
  return [*lines, markdown_table(rows)]


def _robustness_by_au(results: Results) -> list[str]:
  lines = []
  for name in next(iter(results.values()))["robustness"]:
    lines += _heading(f"F1 by AU, {_words(name)}, percent")
    rows = [
      [
        run,
        kind,
        *(f"{x:.1f}" for x in found["robustness"][name][kind]["aus"].values()),
      ]
      for run, found in results.items()
      for kind in AVERAGES
    ]
    lines.append(markdown_table([["run", "F1", *_AUS], *rows]))
  return lines


def _alarms_by_au(results: Results) -> list[str]:
  lines = []
  for name in next(iter(results.values()))["response"]:
    lines += _heading(f"False alarms by AU, {_words(name)}, percent of clips")
    rows = [
      [run, *(f"{x:.1f}" for x in found["response"][name]["alarms"]["aus"].values())]
      for run, found in results.items()
    ]
    lines.append(markdown_table([["run", *_AUS], *rows]))
  return lines


def _pointing_by_au(results: Results) -> list[str]:
  lines = []
  for name in next(iter(results.values()))["pointing"]:
    lines += _heading(f"Pointing by AU, {_words(name)}, percent")
    rows = []
    for run, found in results.items():
      of = found["pointing"][name]
      for label, evidence in (_EVENLY | shown_evidence(of)).items():
        aus = map(of[evidence]["aus"].get, _AUS)
        cells = ("" if x is None else f"{x:.1f}" for x in aus)
        rows.append([run, label, *cells])
    lines.append(markdown_table([["run", "evidence", *_AUS], *rows]))
  return lines


def _words(name: str) -> str:
  return name.replace("still-", "").replace("-", " ")


def _csv(title: str, results: Results) -> str:
  lines = [["title", "run", "measure", "set", "of", "au", "mean", "low", "high"]]
  for run, measures in results.items():
    for measure, sets in measures.items():
      for name, found in sets.items():
        for of, value in found.items():
          if isinstance(value, Mapping):
            first = [title, run, measure, name, of]
            row = [value.get(key, "") for key in ("mean", "low", "high")]
            lines.append([*first, "mean", *row])
            for au, one in value.get("aus", {}).items():
              lines.append([*first, au, one, "", ""])
  return to_csv(lines)
