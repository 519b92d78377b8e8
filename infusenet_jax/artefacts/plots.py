"""Draws the figures of the artefact study."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infusenet_jax.artefacts.scores import NORMAL, Results, shown_evidence
from infusenet_jax.evaluate.documents import SIMULATED, subtitle
from infusenet_jax.evaluate.protocol import AVERAGES

# Colours that the colour-blind can tell apart (Okabe and Ito 2008). With more runs than
# colours, the colours are used again, with hatched bars and dashed lines.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
_STYLE = {
  "font.size": 9,
  "axes.spines.top": False,
  "axes.spines.right": False,
  "axes.grid": True,
  "axes.grid.axis": "y",
  "axes.axisbelow": True,
  "grid.color": "#e2e0d9",
  "axes.titlesize": 10,
  "axes.titleweight": "bold",
  "legend.frameon": False,
  "savefig.dpi": 150,
}
EVEN = {"region": ("whole face, evenly", "--"), "crop": ("whole crop, evenly", ":")}
_INK = "#1d2733"
_BESIDE = {"loc": "upper left", "bbox_to_anchor": (1, 1)}


def draw_figures(out: Path, results: Results) -> None:
  """Writes robustness.png, false_alarms.png and pointing.png to `out`."""
  with matplotlib.rc_context(_STYLE):
    _robustness(results).savefig(out / "robustness.png", bbox_inches="tight")
    _false_alarms(results).savefig(out / "false_alarms.png", bbox_inches="tight")
    _pointing(results).savefig(out / "pointing.png", bbox_inches="tight")


def _robustness(results: Results) -> Figure:
  figure = Figure((9, 3.4), layout="constrained")
  for axes, kind in zip(figure.subplots(1, 2), AVERAGES, strict=True):
    for number, (run, found) in enumerate(results.items()):
      sets = found["robustness"]
      strengths = [float(name.rsplit("-", 1)[1]) for name in sets]
      mean, low, high = _columns([scores[kind] for scores in sets.values()])
      colour, again = _COLOURS[number % len(_COLOURS)], number >= len(_COLOURS)
      style = {"color": colour, "ls": "--" if again else "-", "marker": "o", "ms": 4}
      axes.plot(strengths, mean, label=run, **style)
      axes.fill_between(strengths, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_title(subtitle(f"{kind} F1", SIMULATED), loc="left")
    axes.set_xlabel("nuisance in testing; 1 in training")
    axes.set_ylabel("database average, percent")
    axes.set_xticks(strengths)
  axes.legend(**_BESIDE)
  return figure


def _false_alarms(results: Results) -> Figure:
  sets = list(next(iter(results.values()))["response"])
  figure = Figure((9, 3.2), layout="constrained")
  axes = figure.subplots()
  groups = {
    run: [found["response"][name]["alarms"] for name in sets]
    for run, found in results.items()
  }
  _bars(axes, groups, list(results))
  axes.set_xticks(range(len(sets)), [_label(name) for name in sets])
  axes.set_ylabel("false alarms, percent of clips")
  axes.set_title(subtitle("False alarms on faces at rest", SIMULATED), loc="left")
  axes.legend(**_BESIDE)
  return figure


def _pointing(results: Results) -> Figure:
  every = {run: found["pointing"] for run, found in results.items()}
  sets = list(next(iter(every.values())))
  labels = dict.fromkeys(x for of in every.values() for x in shown_evidence(of[NORMAL]))
  figure = Figure((9, 0.6 + 1.7 * len(labels)), layout="constrained")
  panels = figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0]
  handles = {}
  for axes, label in zip(panels, labels, strict=True):
    names = {run: shown_evidence(of[NORMAL]).get(label) for run, of in every.items()}
    groups = {
      run: [every[run][key][name] for key in sets]
      for run, name in names.items()
      if name
    }
    _bars(axes, groups, list(results))
    for place, key in enumerate(sets):
      for name, (words, dashes) in EVEN.items():
        even = every[next(iter(groups))][key][name]["mean"]
        style = {
          "colors": _INK,
          "lw": 1,
          "ls": dashes,
          "label": None if place else words,
        }
        axes.hlines(even, place - 0.45, place + 0.45, **style)
    axes.set_title(subtitle(f"Where the face moved: {label}", SIMULATED), loc="left")
    axes.set_ylabel("percent")
    for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
      handles[name] = handle
  figure.legend(handles.values(), handles, loc="outside right upper")
  panels[-1].set_xticks(range(len(sets)), [_label(name) for name in sets])
  return figure


def _bars(axes: Axes, groups: dict[str, list[dict]], runs: list[str]) -> None:
  """Draws a bar with a 95 % whisker for each run in each set, by place in `runs`."""
  width = 0.8 / len(groups)
  for place, (run, found) in enumerate(groups.items()):
    x = np.arange(len(found)) + (place - (len(groups) - 1) / 2) * width
    mean, low, high = _columns(found)
    again, colour = divmod(runs.index(run), len(_COLOURS))
    style = {"color": _COLOURS[colour], "hatch": "///" * again, "alpha": 0.85}
    axes.bar(x, mean, 0.92 * width, label=run, **style)
    spread = np.maximum([mean - low, high - mean], 0)
    axes.errorbar(x, mean, spread, fmt="none", ecolor=_INK, elinewidth=1)


def _columns(found: list[dict]) -> list[np.ndarray]:
  return [np.array([value[key] for value in found]) for key in ("mean", "low", "high")]


def _label(name: str) -> str:
  return name.replace("still-", "").replace("-", " ")
