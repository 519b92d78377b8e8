"""What each action unit moves, where and in which direction, after FACS.

An action unit is a sum of smooth bumps of displacement on the face (Ekman, Friesen,
Hager: "Facial Action Coding System", 2002, for where skin moves and which way). Fields
are per side, so that a clip can be one-sided. How skin bulges and folds is in
`relief.py`.
"""

import functools
import math

import numpy as np

from data_prep.simulator.portrait import canvas
from data_prep.simulator.portrait.identity import Identity

DISTRACTORS = (18, 20, 24, 45)  # Pucker, stretch, press, blink: not among the 12.
ONE_SIDED = (2, 10, 12, 14, 15)  # AUs that people often show on one side only.
STEP = 2  # Fields are stored on every second canvas pixel.


def _bumps(au: int, who: Identity) -> list[tuple[float, ...]]:
  """Lists the bumps of an action unit on the picture's right side.

  Each is (x, y, dx, dy, sigma_x, sigma_y above, sigma_y below). x and dx are mirrored
  for the other side; y and dy run down. The largest displacement of the sum is scaled
  to 1 afterwards.
  """
  brow, mouth, corner = who.brow_y, who.mouth, who.mouth_width
  wing, tip, lid = who.nose_width, who.nose_tip, who.eye_height
  return {
    # Frontalis, inner part: the inner brow and the forehead above it rise.
    1: [
      (0.22, brow, -0.1, -1.0, 0.20, 0.22, 0.15),
      (0.20, brow - 0.32, 0.0, -0.55, 0.25, 0.25, 0.25),
    ],
    # Frontalis, outer part.
    2: [
      (0.78, brow, 0.1, -1.0, 0.22, 0.22, 0.15),
      (0.72, brow - 0.32, 0.0, -0.5, 0.26, 0.24, 0.24),
    ],
    # Corrugator and depressors: brows down and together, the root of the nose down.
    4: [
      (0.26, brow + 0.02, -0.65, 0.8, 0.20, 0.16, 0.17),
      (0.56, brow, -0.45, 0.45, 0.24, 0.15, 0.15),
      (0.10, brow - 0.3, -0.15, 0.35, 0.2, 0.2, 0.2),
      (0.0, -0.08, 0.0, 0.35, 0.14, 0.15, 0.14),
    ],
    # Levator palpebrae: the upper lid rises, the brow stays.
    5: [(0.5, -lid, 0.0, -1.0, 0.18, 0.10, 0.06)],
    # Outer orbicularis oculi: cheek up, skin towards the eye from outside and below.
    6: [
      (0.62, 0.42, -0.25, -1.0, 0.26, 0.18, 0.22),
      (0.90, 0.08, -0.8, -0.05, 0.15, 0.18, 0.18),
      (0.52, 0.15, -0.1, -0.55, 0.22, 0.07, 0.1),
    ],
    # Inner orbicularis oculi: the lower lid rises, the upper one sinks a little.
    7: [
      (0.5, 0.8 * lid, -0.2, -1.0, 0.20, 0.06, 0.10),
      (0.5, -lid, 0.0, 0.6, 0.19, 0.08, 0.06),
    ],
    # Levator labii alaeque nasi: wings of the nose, its root and the upper lip.
    9: [
      (wing - 0.03, tip - 0.12, -0.05, -1.0, 0.15, 0.2, 0.17),
      (0.13, 0.22, -0.05, -0.6, 0.13, 0.2, 0.2),
      (0.22, brow + 0.06, -0.3, 0.6, 0.18, 0.12, 0.14),
      (0.24, mouth - 0.2, 0.0, -0.55, 0.17, 0.13, 0.13),
    ],
    # Levator labii superioris: the upper lip up, the furrow beside the nose deeper.
    10: [
      (0.22, mouth - who.upper_lip, 0.05, -1.0, 0.18, 0.14, 0.07),
      (0.43, 0.82, 0.1, -0.65, 0.16, 0.18, 0.18),
      (wing, tip, 0.2, -0.35, 0.1, 0.1, 0.1),
    ],
    # Zygomaticus major: the corner of the mouth up and out, the cheek with it.
    12: [
      (corner, mouth, 0.8, -0.8, 0.19, 0.17, 0.16),
      (0.64, 0.74, 0.25, -0.6, 0.24, 0.2, 0.22),
      (0.2, mouth, 0.35, -0.1, 0.16, 0.1, 0.12),
    ],
    # Buccinator: skin is drawn from all sides into the corner of the mouth.
    14: [
      (corner + 0.27, mouth - 0.02, -0.9, 0.05, 0.14, 0.2, 0.2),
      (corner - 0.16, mouth, 0.75, -0.05, 0.13, 0.1, 0.1),
      (corner + 0.05, mouth + 0.25, -0.1, -0.6, 0.17, 0.13, 0.15),
    ],
    # Depressor anguli oris: the corner of the mouth down.
    15: [
      (corner, mouth + 0.02, 0.15, 1.0, 0.18, 0.15, 0.16),
      (corner + 0.04, mouth + 0.28, 0.1, 0.6, 0.17, 0.16, 0.18),
    ],
    # Mentalis: the chin's skin and the lower lip up.
    17: [
      (0.11, who.chin - 0.28, 0.0, -1.0, 0.19, 0.18, 0.14),
      (0.12, mouth + who.lower_lip, 0.0, -0.75, 0.24, 0.1, 0.14),
    ],
    # Orbicularis oris, pucker: lips forward, corners inwards.
    18: [(corner, mouth, -1.0, 0.0, 0.2, 0.15, 0.15)],
    # Risorius: corners straight out.
    20: [(corner, mouth, 1.0, 0.15, 0.22, 0.16, 0.18)],
    # Orbicularis oris: lips pressed together.
    24: [
      (0.1, mouth - who.upper_lip, 0.0, 0.8, 0.25, 0.07, 0.06),
      (0.1, mouth + who.lower_lip, 0.0, -1.0, 0.25, 0.07, 0.09),
    ],
    # Part of a blink: the upper lid sinks.
    45: [(0.5, -lid, 0.0, 1.0, 0.2, 0.13, 0.09)],
  }[au]


@functools.lru_cache(maxsize=64)
def displacement(au: int, who: Identity, side: int) -> np.ndarray:
  """Computes the displacement (H, W, 2) of an action unit on one side.

  It is given on every `STEP`-th canvas pixel, with a largest length of 1. `side` is -1
  for the left of the picture (the subject's right), 1 for its right. Each person's
  muscles pull in a direction and over an area of their own, a little different on the
  two sides.
  """
  rng = np.random.default_rng((who.muscles, au, side + 1))
  turn, size, right, down = np.clip(rng.normal(size=4), -2, 2) * (
    0.15,
    0.12,
    0.15,
    0.15,
  )
  cos, sin, size = math.cos(turn), math.sin(turn), math.exp(size)
  x, y = canvas.grid(STEP)
  field = np.zeros((*x.shape, 2), np.float32)
  for cx, cy, dx, dy, sx, above, below in _bumps(au, who):
    cx, cy = cx + float(right) * sx, cy + float(down) * min(above, below)
    sy = np.where(y < cy, np.float32(size * above), np.float32(size * below))
    weight = canvas.bump(side * x, y, cx, cy, size * sx, sy)
    # Muscles of one side barely move the other side, and nothing outside of the face.
    weight *= canvas.smooth_step(side * x, -0.15, 0.1)
    weight *= canvas.smooth_step(side * x, who.head_width, 0.85 * who.head_width)
    pull = side * (cos * dx - sin * dy), sin * dx + cos * dy
    field += weight[..., None] * np.array(pull, np.float32)
  return field / np.linalg.norm(field, axis=-1).max()
