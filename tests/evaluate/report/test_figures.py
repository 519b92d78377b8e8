import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from infusenet_jax.evaluate.report.figures import (
  RUN_COLOURS,
  Curve,
  bars,
  learning_curves,
  run_colours,
)
from infusenet_jax.evaluate.tables import Cell

ROWS = [
  ("AU1", Cell(50.0, 1.0, 40.0, 75.0, 20.0)),
  ("AU2", Cell(100.0, 0.0, 90.0, 100.0, 0.0)),
  ("Average", Cell(75.0, 0.5, 70.0, 80.0, 10.0)),
]


def lines(svg):
  """[(points (N, 2), style)] of all paths of an SVG."""
  return [
    (np.array(re.findall(r"-?[\d.]+", path.get("d")), float).reshape(-1, 2), style)
    for path in ElementTree.fromstring(svg).iter("path")
    for style in [path.get("style")]
  ]


def drawn_in(svg, variable):
  return [points for points, style in lines(svg) if f"var(--{variable})" in style]


def test_bars_are_as_long_as_the_scores():
  svg = bars(ROWS, "binary F1")
  first, second = drawn_in(svg, "bar")
  (average,) = drawn_in(svg, "accent")
  unit = np.ptp(second[:, 0]) / 100
  assert np.ptp(first[:, 0]) == pytest.approx(50 * unit)
  assert np.ptp(average[:, 0]) == pytest.approx(75 * unit)
  assert first[:, 1].max() < second[:, 1].min() < average[:, 1].min()
  left = first[:, 0].min()
  whisker, *ends = drawn_in(svg, "ink")[:3]
  assert whisker[:, 0] == pytest.approx([left + 40 * unit, left + 75 * unit])
  assert [end[0, 0] for end in ends] == pytest.approx(whisker[:, 0])
  marks = [points[0, 0] for points in drawn_in(svg, "other")]
  assert marks == pytest.approx([left + x * unit for x in (20, 0, 10)])
  texts = [text.text for text in ElementTree.fromstring(svg).iter("text")]
  assert {"AU1", "Average", "50.0", "75.0"} <= set(texts)
  words = [title.text for title in ElementTree.fromstring(svg).iter("title")]
  assert words[0] == "AU1: 50.0 [40.0, 75.0]; always positive 20.0"


def test_all_that_is_drawn_lies_in_the_figure():
  curves = [Curve(45, "samm", range(1, 30), np.linspace(7.3, 0, 29))]
  for svg in (bars(ROWS, "t"), learning_curves(curves, "t", 7.3, {45: 0})):
    _, _, width, height = map(
      float, ElementTree.fromstring(svg).get("viewBox").split(" ")
    )
    points = np.concatenate([points for points, _ in lines(svg)])
    assert (points >= 0).all() and (points <= (width, height)).all()


def test_a_curve_per_run_in_the_colour_of_its_seed():
  curves = [Curve(46, "samm", [1, 2, 3], [1.0, 0.5, 0.25])]
  colours = run_colours([*curves, Curve(45, "casme", [1], [1.0])])
  assert colours == {45: 0, 46: 1}
  svg = learning_curves(curves, "SAMM", 2.0, colours)
  ((x, y),) = (points.T for points in drawn_in(svg, "run1"))
  assert not drawn_in(svg, "run0")
  assert np.diff(x) == pytest.approx([(x[2] - x[0]) / 2] * 2)
  grid = [points[0, 1] for points in drawn_in(svg, "line")]
  bottom, top = max(grid), min(grid)  # 0 and 2.
  assert y == pytest.approx(bottom - (bottom - top) * np.array([0.5, 0.25, 0.125]))
  assert "seed 46: 0.2500 at the end" in svg


def test_more_runs_than_colours_begin_again():
  seeds = range(RUN_COLOURS + 1)
  numbers = run_colours([Curve(seed, "samm", [1], [1.0]) for seed in seeds]).values()
  assert list(numbers) == [*range(RUN_COLOURS), 0]


@pytest.mark.parametrize(
  ("epochs", "losses"),
  [([1], [0.5]), ([1, 2, 3], [1.0, np.nan, np.inf]), ([1, 2], [0.0, 0.0])],
)
def test_short_and_diverged_curves_are_drawn(epochs, losses):
  svg = learning_curves([Curve(45, "samm", epochs, losses)], "SAMM", 1.0, {45: 0})
  assert "nan" not in svg.replace(f"{losses[-1]:.4f}", "") and drawn_in(svg, "run0")


@pytest.mark.parametrize(
  "name", ["$\\frac{$", "</text><b>", "\x00\x1b", "子 ≠", "#0000fe"]
)
def test_any_name_can_be_a_title(name):
  svg = learning_curves([Curve(45, "samm", [1, 2], [1, 1])], name, 1.0, {45: 0})
  root = ElementTree.fromstring(svg)
  shown = re.sub(r"[\x00-\x1f]", "�", name)
  assert shown in [text.text for text in root.iter("text")]
  assert root.get("aria-label") == f"loss of fold {shown}"
  assert {element.tag for element in root.iter()} == {
    "svg",
    "g",
    "path",
    "text",
    "title",
  }


def test_figures_are_the_same_whatever_matplotlib_was_told():
  expected = bars(ROWS, "t")
  told = {"font.size": 30, "text.usetex": True, "axes.facecolor": "red"}
  with matplotlib.rc_context(told):
    assert bars(ROWS, "t") == expected
    assert {name: matplotlib.rcParams[name] for name in told} == told
