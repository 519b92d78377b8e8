"""The identity of a person: the parameters of a face.

Lengths are in units of the distance between the pupils (63 mm in adults); the origin
is the point between the eyes, x runs to the right of the picture and y down. Means
and spreads are of the order of adult anthropometry (Farkas, "Anthropometry of the
Head and Face", 1994), rounded, and wide enough for people to look unlike each other.
"""

import dataclasses

import numpy as np

# Colours of skin, from light to dark, and of hair, as sRGB. People have colours between
# two neighbouring entries.
SKIN = np.array(
  [(238, 205, 184), (226, 187, 160), (204, 160, 130), (160, 114, 86), (108, 74, 56)]
)
HAIR = np.array([(20, 17, 17), (38, 29, 25), (72, 50, 36), (118, 88, 58)])
IRIS = np.array([(44, 28, 20), (70, 46, 28), (86, 80, 58), (90, 112, 130)])


@dataclasses.dataclass(frozen=True, eq=False)
class Identity:
  """One person's face. Colours are linear RGB in [0, 1]."""

  head_width: float  # Half the width at the cheekbones.
  crown: float  # Top of the head above the eyes.
  chin: float  # Chin below the eyes.
  jaw: float  # Exponent of the lower outline: 2 an ellipse, more is squarer.
  taper: float  # How much narrower the jaw is than the cheekbones.
  eye_width: float  # Half the width of the eye's opening.
  eye_height: float  # How far the upper lid is above the middle of the opening.
  eye_tilt: float  # Rise of the outer corner per unit of width.
  lid_crease: float  # Height of the crease above the lid; 0: none.
  iris_radius: float
  brow_height: float
  brow_thickness: float
  brow_arch: float
  brow_length: float
  brow_density: float
  nose_tip: float
  nose_width: float
  nose_height: float
  mouth: float  # Height of the line between the lips, below the eyes.
  mouth_width: float
  upper_lip: float
  lower_lip: float
  hairline: float
  hair_volume: float
  hair_length: float  # How far down the hair falls beside the face.
  fringe: float  # 0: forehead free, 1: hair down to above the brows.
  parting: float  # Where the hair parts, left or right of the middle.
  freckles: int
  redness: float
  stubble: float
  skin: np.ndarray
  hair: np.ndarray
  iris: np.ndarray
  lips: np.ndarray
  muscles: int  # Seed of how this person's muscles pull; see action_units.py.

  @property
  def brow_y(self) -> float:
    return -self.brow_height


def linear(srgb: np.ndarray) -> np.ndarray:
  """Converts sRGB in [0, 255] to linear light in [0, 1]."""
  x = np.asarray(srgb, np.float32) / 255
  return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _between(rng: np.random.Generator, colours: np.ndarray, place: float) -> np.ndarray:
  """Draws a colour near that at `place`, in [0, len - 1], of a row of colours."""
  low = int(np.clip(place, 0, len(colours) - 1.001))
  mix = colours[low] + (place - low) * (colours[low + 1] - colours[low])
  return linear(
    np.clip(mix * rng.normal(1, 0.03) + rng.normal(0, 2, 3), 8, 250)
  ).astype(np.float32)


def draw_identity(
  rng: np.random.Generator, skin: tuple[float, float] = (0.0, 2.0), fair: float = 0.0
) -> Identity:
  """Draws a person.

  Args:
    rng: draws.
    skin: range of tones, as places in `SKIN`.
    fair: share of people with light hair and eyes.
  """

  def spread(mean: float, deviation: float) -> float:
    return mean + deviation * float(np.clip(rng.normal(), -2, 2))

  tone = _between(rng, SKIN, rng.uniform(*skin))
  light = rng.random() < fair
  hair = _between(rng, HAIR, rng.uniform(1.2, 3) if light else rng.uniform(0, 1))
  iris = _between(rng, IRIS, rng.uniform(1.2, 3) if light else rng.uniform(0, 1))
  long_hair = rng.random() < 0.45
  lips = tone * np.array((0.86, 0.52, 0.50), np.float32) * rng.uniform(0.85, 1.1)
  return Identity(
    head_width=spread(1.11, 0.045),
    crown=spread(1.72, 0.06),
    chin=spread(1.84, 0.07),
    jaw=spread(2.25, 0.13),
    taper=spread(0.10, 0.035),
    eye_width=spread(0.245, 0.014),
    eye_height=spread(0.088, 0.011),
    eye_tilt=spread(0.06, 0.05),
    lid_crease=0.0 if rng.random() < 0.3 else spread(0.065, 0.012),
    iris_radius=spread(0.098, 0.004),
    brow_height=spread(0.36, 0.025),
    brow_thickness=spread(0.052, 0.009),
    brow_arch=spread(0.055, 0.02),
    brow_length=spread(0.37, 0.025),
    brow_density=spread(0.95, 0.12),
    nose_tip=spread(0.72, 0.035),
    nose_width=spread(0.275, 0.022),
    nose_height=spread(0.40, 0.04),
    mouth=spread(1.17, 0.035),
    mouth_width=spread(0.405, 0.03),
    upper_lip=spread(0.072, 0.012),
    lower_lip=spread(0.105, 0.014),
    hairline=spread(1.05, 0.07),
    hair_volume=spread(0.16, 0.04),
    hair_length=rng.uniform(1.3, 2.1) if long_hair else rng.uniform(0.1, 0.45),
    fringe=rng.uniform(0.5, 0.95) if rng.random() < 0.3 else 0.0,
    parting=rng.uniform(-0.45, 0.45),
    freckles=int(rng.integers(0, 14)) if rng.random() < 0.8 else 40,
    redness=spread(0.10, 0.03),
    stubble=0.0 if long_hair else max(0.0, spread(0.06, 0.05)),
    skin=tone,
    hair=hair,
    iris=iris,
    lips=lips.astype(np.float32),
    muscles=int(rng.integers(2**31)),
  )
