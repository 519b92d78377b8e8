"""Figures of the report: SVG drawn by hand, frames and flow as data URIs.

Colours are CSS variables of the page (--ink, --muted, --line, --accent, --other), so
that figures follow it into dark mode.
"""

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from infusenet_jax.evaluate.tables import Cell


class Curve(NamedTuple):
  """The mean loss of each epoch of one fold in one run."""

  seed: int
  fold: str
  epochs: Sequence[float]
  losses: Sequence[float]

  @property
  def database(self) -> str:
    """The key of the database that the fold, or its subject, belongs to."""
    return self.fold.split("/")[0]


def bars(rows: Sequence[tuple[str, Cell]], title: str) -> str:
  """An SVG of F1 bars in percent with 95 % whiskers and an "always positive" mark."""
  left, right, row, top = 84, 44, 25, 26
  width, height = 520, top + row * len(rows) + 8
  span = width - left - right
  x = lambda value: left + span * value / 100  # noqa: E731
  out = [_svg(width, height, title)]
  for tick in range(0, 101, 20):
    out.append(_line(x(tick), top - 4, x(tick), height - 6, "var(--line)"))
    out.append(_text(x(tick), 14, str(tick), "middle", "var(--muted)"))
  for i, (name, cell) in enumerate(rows):
    y = top + row * i + row / 2
    weight = ' class="strong"' if name == "Average" else ""
    out.append(_text(left - 10, y + 4, name, "end", "var(--ink)", weight))
    out.append(
      f'<rect x="{left}" y="{y - 7:.1f}" width="{x(cell.mean) - left:.1f}" height="14" '
      f'rx="2" fill="var(--accent)" opacity="{0.95 if weight else 0.6}"><title>'
      f"{html.escape(name)}: {cell.mean:.1f} [{cell.low:.1f}, {cell.high:.1f}]; "
      f"always positive {cell.always:.1f}</title></rect>"
    )
    out.append(_line(x(cell.low), y, x(cell.high), y, "var(--ink)", 1.5))
    for end in (cell.low, cell.high):
      out.append(_line(x(end), y - 4, x(end), y + 4, "var(--ink)", 1.5))
    out.append(_line(x(cell.always), y - 9, x(cell.always), y + 9, "var(--other)", 2.5))
    value = f"{cell.mean:.1f}"
    out.append(_text(width - 4, y + 4, value, "end", "var(--ink)", weight))
  return "".join(out) + "</svg>"


def learning_curves(curves: Sequence[Curve], title: str, highest: float) -> str:
  """An SVG of one fold's loss over the epochs, a line per run, from 0 to `highest`."""
  left, right, top, bottom = 40, 14, 28, 26
  width, height = 340, 200
  ceiling = 4 * _round_step(highest / 4)
  last = max(max(curve.epochs) for curve in curves)
  first = min(min(curve.epochs) for curve in curves)
  x = lambda epoch: (  # noqa: E731
    left + (width - left - right) * (epoch - first) / max(last - first, 1)
  )
  y = lambda loss: (  # noqa: E731
    height - bottom - (height - top - bottom) * min(loss / ceiling, 1)
  )
  out = [_svg(width, height, f"loss of fold {title}")]
  out.append(_text(left, 15, title, "start", "var(--ink)", ' class="strong"'))
  for tick in np.linspace(0, ceiling, 5):
    out.append(_line(left, y(tick), width - right, y(tick), "var(--line)"))
    out.append(_text(left - 6, y(tick) + 4, f"{tick:.3g}", "end", "var(--muted)"))
  for epoch, anchor in ((first, "start"), (last, "end")):
    text = f"epoch {epoch:g}"
    out.append(_text(x(epoch), height - 8, text, anchor, "var(--muted)"))
  for i, curve in enumerate(curves):
    pairs = zip(curve.epochs, curve.losses, strict=True)
    points = " ".join(f"{x(epoch):.1f},{y(loss):.1f}" for epoch, loss in pairs)
    out.append(
      f'<polyline points="{points}" fill="none" stroke="{run_colour(i)}" '
      f'stroke-width="1.8"><title>seed {curve.seed}: {curve.losses[-1]:.4f} at the end'
      "</title></polyline>"
    )
  return "".join(out) + "</svg>"


def run_colour(number: int) -> str:
  """A colour for the run of that number, readable on light and on dark."""
  return f"hsl({(190 + 67 * number) % 360} 62% 44%)"


def _round_step(least: float) -> float:
  """The smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is not below."""
  power = 10.0 ** np.floor(np.log10(max(least, 1e-9)))
  return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= least)


def _svg(width: float, height: float, title: str) -> str:
  return (
    f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}">'
  )


def _line(x1, y1, x2, y2, colour: str, width: float = 1) -> str:
  return (
    f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
    f'stroke="{colour}" stroke-width="{width}"/>'
  )


def _text(x, y, text: str, anchor: str, colour: str, more: str = "") -> str:
  return (
    f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{more}>'
    f"{html.escape(text)}</text>"
  )
