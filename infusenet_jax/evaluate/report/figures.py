"""Draws the report's figures by matplotlib, as SVG elements of the page.

Their colours are CSS variables of the page, so that they change with it in dark mode.
Text stays text, in the page's font.
"""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infusenet_jax.evaluate.tables import Cell

RUN_COLOURS = 8  # --run0 to --run7 in style.css.
# Colours that stand for CSS variables until the SVG is written.
_VARIABLES = (
  *("ink", "muted", "line", "accent", "bar", "other"),
  *(f"run{i}" for i in range(RUN_COLOURS)),
)
_COLOURS = {name: f"#00{place:02x}fe" for place, name in enumerate(_VARIABLES)}
_STYLE = {
  "svg.fonttype": "none",
  "lines.solid_capstyle": "butt",
  "text.parse_math": False,  # A dollar sign in a clip's name does not begin a formula.
  "font.sans-serif": ["DejaVu Sans"],  # For text widths; the page uses its own font.
  "font.size": 12.5,
  **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
  "axes.axisbelow": True,
  "axes.grid": True,
  "axes.titlecolor": _COLOURS["ink"],
  "axes.titlelocation": "left",
  "axes.titlesize": 12.5,
  "axes.titleweight": "bold",
  "grid.color": _COLOURS["line"],
  "grid.linewidth": 1,
  "xtick.major.size": 0,
  "ytick.major.size": 0,
  "ytick.major.pad": 6,
  "xtick.color": _COLOURS["muted"],
  "ytick.color": _COLOURS["muted"],
}
_TOOLTIP = "tooltip: "  # An artist whose gid begins so gets the rest as its <title>.


class Curve(NamedTuple):
  """The mean loss of each epoch of one fold in one run."""

  seed: int
  fold: str
  epochs: Sequence[float]
  losses: Sequence[float]

  @property
  def database(self) -> str:
    """The key of the fold's database: "casme2" for the fold "casme2/sub01"."""
    return self.fold.split("/")[0]


def bars(rows: Sequence[tuple[str, Cell]], title: str) -> str:
  """Draws F1 bars in percent with 95 % whiskers and a mark for "always positive".

  Args:
    rows: (name, F1) from top to bottom; the row "Average" is highlighted.
    title: read out by screen readers.

  Returns:
    An <svg> element.
  """
  with _style():
    figure, axes = _figure(
      360, 26 + 23 * len(rows), left=72, right=48, top=22, bottom=4
    )
    axes.set(xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(axis="y", visible=False)
    axes.xaxis.tick_top()
    axes.set_xticks(range(0, 101, 20))
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    for place, (name, cell) in enumerate(rows):
      average = name == "Average"
      words = f"{name}: {cell.mean:.1f} [{cell.low:.1f}, {cell.high:.1f}]"
      words += f"; always positive {cell.always:.1f}"
      colour = _COLOURS["accent" if average else "bar"]
      axes.barh(place, cell.mean, 0.6, color=colour, gid=_TOOLTIP + words)
      _whisker(axes, place, cell)
      mark = {"color": _COLOURS["other"], "linewidth": 2.5}
      axes.plot([cell.always] * 2, [place - 0.38, place + 0.38], **mark)
      weight = "bold" if average else "normal"
      ink = {"color": _COLOURS["ink"], "weight": weight}
      axes.get_yticklabels()[place].set(**ink)
      beside = {"ha": "right", "va": "center_baseline"}
      beside["transform"] = axes.get_yaxis_transform()
      axes.text(1.19, place, f"{cell.mean:.1f}", **beside, **ink)
    return _svg(figure, title)


def _whisker(axes: Axes, place: float, cell: Cell) -> None:
  ink = {"color": _COLOURS["ink"], "linewidth": 1.3}
  axes.plot([cell.low, cell.high], [place] * 2, **ink)
  for end in (cell.low, cell.high):
    axes.plot([end] * 2, [place - 0.16, place + 0.16], **ink)


def learning_curves(
  curves: Sequence[Curve], title: str, highest: float, runs: Mapping[int, int]
) -> str:
  """Draws one panel of losses over the epochs, a line per curve.

  Args:
    curves: at least one.
    title: of the panel.
    highest: the upper end of the loss axis, which starts at 0.
    runs: {seed: number of its colour}, from `run_colours`.

  Returns:
    An <svg> element.
  """
  with _style():
    figure, axes = _figure(320, 190, left=42, right=12, top=26, bottom=26)
    first = min(min(curve.epochs) for curve in curves)
    last = max(max(curve.epochs) for curve in curves)
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(0, max(highest, 1e-9))
    axes.set(xlim=(first, max(last, first + 1)), ylim=(0, ticks[-1]))
    axes.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks])
    ends = sorted({first, last})
    axes.set_xticks(ends, [f"epoch {epoch:g}" for epoch in ends])
    axes.grid(axis="x", visible=False)
    for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
      label.set_horizontalalignment(side)
    axes.set_title(_printable(title))
    for curve in curves:
      # A line needs two points; the only point of a curve is drawn twice, as a dot.
      alone = len(curve.epochs) == 1
      axes.plot(
        [*curve.epochs, *curve.epochs] if alone else curve.epochs,
        [*curve.losses, *curve.losses] if alone else curve.losses,
        color=_COLOURS[f"run{runs[curve.seed]}"],
        linewidth=1.8,
        solid_capstyle="round",
        gid=f"{_TOOLTIP}seed {curve.seed}: {curve.losses[-1]:.4f} at the end",
      )
    return _svg(figure, f"loss of fold {title}")


def run_colours(curves: Sequence[Curve]) -> dict[int, int]:
  """Gives each seed the number of a colour in style.css, --run0 and so on."""
  seeds = sorted({curve.seed for curve in curves})
  return {seed: place % RUN_COLOURS for place, seed in enumerate(seeds)}


@contextlib.contextmanager
def _style() -> Iterator[None]:
  """Sets matplotlib's defaults and ours, whatever the user's matplotlibrc says."""
  with matplotlib.rc_context(), warnings.catch_warnings():
    # The page's font has the characters that the font for text widths lacks.
    warnings.filterwarnings("ignore", "Glyph .* missing from")
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(_STYLE)
    yield


def _figure(
  width: int, height: int, *, left: int, right: int, top: int, bottom: int
) -> tuple[Figure, Axes]:
  """Makes a figure and its axes; sizes and margins are in the units of the SVG."""
  figure = Figure((width / 72, height / 72))
  figure.patch.set_visible(False)
  size = [width - left - right, height - top - bottom]
  lengths = (left / width, bottom / height, size[0] / width, size[1] / height)
  axes = figure.add_axes(lengths)
  axes.patch.set_visible(False)
  return figure, axes


def _printable(text: str) -> str:
  """Removes the characters that XML forbids."""
  return re.sub("[\x00-\x1f\x7f-\x9f\ufffe\uffff]", "\ufffd", text)


def _svg(figure: Figure, title: str) -> str:
  """Turns a figure into an <svg> element of a page that may hold others.

  The element has no ids, which could collide with those of others, and no style sheet.
  """
  file = io.StringIO()
  figure.savefig(file, format="svg")
  root = ElementTree.fromstring(file.getvalue())
  for element in root.iter():
    element.tag = element.tag.rpartition("}")[2]
    name = element.attrib.pop("id", "")
    if name.startswith(_TOOLTIP):
      tooltip = ElementTree.Element("title")
      tooltip.text = name.removeprefix(_TOOLTIP)
      element.insert(0, tooltip)
    element.attrib.pop("clip-path", None)  # Nothing is drawn outside of the axes.
    if style := element.get("style"):
      element.set("style", re.sub("#00[0-9a-f]{2}fe", _variable, style))
  for unwanted in ("metadata", "defs"):
    for element in root.findall(unwanted):
      root.remove(element)
  root.attrib = {
    "viewBox": root.get("viewBox"),
    "role": "img",
    "aria-label": _printable(title),
  }
  return ElementTree.tostring(root, encoding="unicode")


def _variable(colour: re.Match) -> str:
  """Replaces a colour by the CSS variable that it stands for."""
  return f"var(--{_VARIABLES[int(colour[0][3:5], 16)]})"
