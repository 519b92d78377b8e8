"""How each action unit changes the relief of the skin: bulges, hollows and furrows.

Muscles that shorten push skin and fat together. Which bulges, hollows and furrows each
action unit brings forth, and where, is after FACS's descriptions of appearance (Ekman,
Friesen, Hager: "Facial Action Coding System", 2002); heights are by eye. What the lamp
makes of them is in `face.py`.
"""

import functools
import math

import numpy as np

from data_prep.simulator.portrait import canvas
from data_prep.simulator.portrait.action_units import STEP
from data_prep.simulator.portrait.identity import Identity

# What one unit of the tables' heights and depths stands for, in lengths of the action
# unit's largest displacement.
_BULGE, _FURROW = 1.3, 0.6
_BANKS = 2.4  # How much wider the banks of a furrow are than its bottom.


def _bulges(au: int, who: Identity) -> list[tuple[float, ...]]:
  """Lists bulges (x, y, height, sigma_x, sigma_y) on the picture's right side.

  Hollows have negative heights.
  """
  brow, mouth, corner, chin = who.brow_y, who.mouth, who.mouth_width, who.chin
  lid = who.eye_height
  upper, lower = mouth - who.upper_lip, mouth + who.lower_lip
  return {
    # Skin is pushed up in the middle of the forehead; the lid's fold is stretched.
    1: [(0.12, brow - 0.28, 0.8, 0.2, 0.16), (0.3, brow + 0.13, -0.4, 0.12, 0.06)],
    # The same above the outer brow.
    2: [(0.72, brow - 0.24, 0.8, 0.18, 0.13), (0.66, brow + 0.14, -0.5, 0.16, 0.06)],
    # The corrugator bulges from the brow's inner end; it draws the rest flat.
    4: [
      (0.19, brow - 0.03, 1.1, 0.09, 0.08),
      (0.0, brow + 0.0, 0.6, 0.05, 0.14),
      (0.48, brow - 0.17, -0.5, 0.15, 0.08),
    ],
    # The lid slides under its fold, so that the fold stands out.
    5: [(0.5, -lid - 0.11, 0.5, 0.19, 0.035), (0.5, -lid - 0.02, -0.4, 0.19, 0.03)],
    # The cheek's fat is lifted towards the eye; skin below the eye gathers to a bag.
    6: [
      (0.66, 0.46, 1.2, 0.19, 0.16),
      (0.56, 0.22, 0.6, 0.18, 0.045),
      (0.62, 0.8, -0.2, 0.22, 0.12),
    ],
    # The lower lid alone tightens to a narrow roll; no cheek.
    7: [(0.5, 0.8 * lid + 0.045, 0.7, 0.19, 0.03), (0.5, 0.24, -0.3, 0.18, 0.045)],
    # Skin gathers at both sides of the nose and between the brows.
    9: [
      (0.2, 0.30, 1.0, 0.07, 0.13),
      (0.33, 0.50, 0.7, 0.09, 0.1),
      (0.0, -0.2, 0.5, 0.08, 0.07),
    ],
    # The skin beside the wing of the nose and the lip below it are pushed to pouches.
    10: [
      (0.47, 0.7, 1.3, 0.1, 0.14),
      (0.2, upper - 0.08, 0.8, 0.13, 0.05),
      (0.0, upper - 0.12, -0.4, 0.05, 0.06),
    ],
    # The cheek is lifted and rounded; the chin is drawn flat.
    12: [
      (0.64, 0.72, 1.8, 0.16, 0.17),
      (corner - 0.03, mouth - 0.2, -0.8, 0.08, 0.11),
      (0.12, chin - 0.28, -0.4, 0.18, 0.1),
    ],
    # A dimple beside the corner of the mouth, in a swelling that the muscle makes.
    14: [
      (corner + 0.1, mouth - 0.01, -1.0, 0.035, 0.05),
      (corner + 0.13, mouth, 0.9, 0.12, 0.13),
      (corner - 0.07, mouth, 0.4, 0.05, 0.05),
      (0.12, chin - 0.28, -0.3, 0.18, 0.1),
    ],
    # Skin is pushed to a pouch below and beside the corner; the chin flattens.
    15: [
      (corner + 0.14, mouth + 0.16, 1.0, 0.07, 0.1),
      (corner - 0.1, mouth + 0.17, 0.5, 0.07, 0.06),
      (0.14, chin - 0.3, -0.6, 0.13, 0.11),
    ],
    # The chin's boss and the lower lip are pushed forward; the boss is pitted.
    17: [
      (0.0, chin - 0.3, 1.5, 0.17, 0.12),
      (0.08, lower - 0.03, 0.8, 0.2, 0.045),
      *((x, chin - y, -0.2, 0.024, 0.02)
        for x, y in ((0.02, 0.4), (0.1, 0.36), (0.17, 0.29), (0.06, 0.28), (0.13, 0.21),
                     (0.01, 0.2), (0.2, 0.36))),
    ],
    18: [(0.0, mouth, 1.0, 0.22, 0.1), (corner + 0.08, mouth, -0.4, 0.08, 0.1)],
    20: [(corner + 0.15, mouth, 0.4, 0.07, 0.1), (0.12, chin - 0.3, -0.5, 0.18, 0.1)],
    24: [(0.08, upper - 0.04, 0.6, 0.22, 0.04), (0.08, lower + 0.05, 0.6, 0.22, 0.045)],
    45: [],
  }[au]  # fmt: skip


def _furrows(au: int, who: Identity) -> list[tuple[float, ...]]:
  """Lists furrows (x0, y0, x1, y1, bend, width, depth) on the picture's right side.

  A furrow runs from (x0, y0) to (x1, y1) and departs from the straight line by `bend`
  half-way, to the right of someone who walks along it; down if it runs outwards.
  """
  brow, mouth, corner = who.brow_y, who.mouth, who.mouth_width
  wing, tip, lid = who.nose_width, who.nose_tip, who.eye_height
  lower = mouth + who.lower_lip
  return {
    # Lines across the middle of the forehead.
    1: [(-0.08, brow - d, 0.38, brow - d + 0.03, -0.02, 0.02, 0.5)
        for d in (0.24, 0.36, 0.48)],
    # Arched lines above the outer brow.
    2: [(0.46, brow - d, 0.95, brow - d + 0.12, -0.05, 0.02, 0.5)
        for d in (0.17, 0.28, 0.39)],
    # Upright lines between the brows, one across the root of the nose.
    4: [
      (0.095, brow - 0.15, 0.11, brow + 0.13, 0.0, 0.021, 0.8),
      (0.2, brow - 0.1, 0.165, brow + 0.05, 0.0, 0.018, 0.4),
      (-0.08, -0.12, 0.1, -0.1, 0.0, 0.02, 0.35),
    ],
    5: [(0.26, -lid - 0.04, 0.74, -lid - 0.04, -0.05, 0.017, 0.5)],
    # Crow's feet, and the furrow that borders the cheek below the eye.
    6: [
      (0.79, 0.0, 1.0, -0.12, 0.0, 0.017, 0.4),
      (0.81, 0.05, 1.03, 0.04, 0.0, 0.017, 0.5),
      (0.79, 0.1, 1.0, 0.2, 0.0, 0.017, 0.4),
      (0.3, 0.2, 0.72, 0.31, 0.04, 0.022, 0.5),
    ],
    # The furrow below the lower lid, from the inner corner of the eye.
    7: [(0.3, 0.13, 0.7, 0.15, 0.05, 0.017, 0.45)],
    # Wrinkles up the sides of the nose and across its root, a furrow round the wing.
    9: [
      *((0.03, d, 0.19, d - 0.08, 0.01, 0.017, 0.6) for d in (0.08, 0.17, 0.27)),
      (-0.08, -0.07, 0.1, -0.09, 0.0, 0.018, 0.5),
      (wing - 0.05, tip - 0.17, wing + 0.08, tip + 0.06, -0.04, 0.02, 0.7),
    ],
    # The upper part of the nasolabial furrow, bent like a pouch.
    10: [(wing + 0.01, tip - 0.1, wing + 0.14, tip + 0.29, -0.06, 0.028, 1.1)],
    # All of the nasolabial furrow, drawn outwards.
    12: [(wing + 0.02, tip - 0.05, corner + 0.17, mouth + 0.03, -0.07, 0.03, 1.2)],
    # A short upright furrow that bends round the corner.
    14: [(corner + 0.07, mouth - 0.13, corner + 0.07, mouth + 0.12, -0.03, 0.019, 0.9)],
    # From the corner down, and the lower end of the nasolabial furrow.
    15: [
      (corner + 0.03, mouth + 0.04, corner + 0.07, mouth + 0.28, -0.02, 0.022, 0.9),
      (corner + 0.02, mouth - 0.2, corner + 0.09, mouth - 0.02, -0.02, 0.022, 0.4),
    ],
    # The furrow between lower lip and chin.
    17: [(-0.3, lower + 0.12, 0.3, lower + 0.12, -0.05, 0.026, 0.45)],
    18: [(x, mouth - 0.2, 0.85 * x, mouth - 0.08, 0.0, 0.017, 0.3) for x in (0.1, 0.2)],
    20: [(corner + 0.06, mouth - 0.1, corner + 0.08, mouth + 0.1, -0.02, 0.02, 0.4)],
  }.get(au, [])  # fmt: skip


@functools.lru_cache(maxsize=64)
def relief(au: int, who: Identity, side: int) -> np.ndarray:
  """Computes how far an action unit raises the skin of one side, (H, W).

  It is given on every `STEP`-th canvas pixel, towards the camera, in lengths of the
  action unit's largest displacement. `side` is -1 for the left of the picture (the
  subject's right), 1 for its right. A person's skin bulges and folds more or less than
  others', all over, and each bulge and furrow has a height and a place of its own, a
  little different on the two sides.
  """
  bulging, folding = _skin(who)
  rng = np.random.default_rng((who.muscles, au, side + 1, 1))
  x, y = canvas.grid(STEP)
  out = side * x
  total = np.zeros(x.shape, np.float32)
  for cx, cy, height, sx, sy in _bulges(au, who):
    right, down, size, more = _own(rng, 0.02, 0.02, 0.12, 0.25)
    height, size = height * bulging * math.exp(more), math.exp(size)
    total += height * canvas.bump(out, y, cx + right, cy + down, size * sx, size * sy)
  for x0, y0, x1, y1, bend, width, depth in _furrows(au, who):
    right, down, more_bend, more = _own(rng, 0.01, 0.01, 0.01, 0.4)
    ends = x0 + right, y0 + down, x1 + right, y1 + down
    depth *= folding * math.exp(more)
    total += depth * _furrow(out, y, *ends, bend + more_bend, width)
  # Both sides together make a whole in the middle; nothing rises outside of the face.
  total *= canvas.smooth_step(out, -0.06, 0.06)
  return total * canvas.smooth_step(out, who.head_width, 0.85 * who.head_width)


@functools.lru_cache(maxsize=8)
def _skin(who: Identity) -> tuple[float, float]:
  """How high a person's skin bulges and how deep it folds, per unit of the tables."""
  bulging, folding = _own(np.random.default_rng(who.muscles), 0.2, 0.35)
  return _BULGE * math.exp(bulging), _FURROW * math.exp(folding)


def _own(rng: np.random.Generator, *deviations: float) -> list[float]:
  """Draws how a person differs from others, at most by two standard deviations."""
  return (np.clip(rng.normal(size=len(deviations)), -2, 2) * deviations).tolist()


def _furrow(x, y, x0, y0, x1, y1, bend, width) -> np.ndarray:
  """Evaluates a furrow of depth 1 between raised banks, which runs out at both ends."""
  dx, dy = x1 - x0, y1 - y0
  length = math.hypot(dx, dy)
  along = ((x - x0) * dx + (y - y0) * dy) / length**2
  inside = np.clip(along, 0, 1)
  across = ((y - y0) * dx - (x - x0) * dy) / length - 4 * bend * inside * (1 - inside)
  ends = canvas.smooth_step(along, -0.05, 0.3) * canvas.smooth_step(along, 1.05, 0.7)
  bottom = np.exp(-0.5 * (across / width) ** 2)
  banks = np.exp(-0.5 * (across / (_BANKS * width)) ** 2)
  return ends * (0.35 * banks - bottom)
