"""Nuisance: what changes although no muscle moves, as smooth functions of time.

All amplitudes are multiplied by one strength; at 0 nothing changes but the face. The
same random numbers are drawn at every strength and for every choice of kinds, so that
clips of different simulations differ in nothing but the nuisance.
"""

import dataclasses
import math

import numpy as np

from data_prep.simulator.camera.sensor import Camera
from data_prep.simulator.camera.warp import Pose

# "lighting" is brightness, automatic gain, direction of light and flicker; "motion" is
# that of the head; "noise" is the sensor's noise and JPEG compression.
KINDS = ("lighting", "motion", "noise")


@dataclasses.dataclass(frozen=True)
class Drift:
  """A sum of sines of 0.4 to 4 Hz, the slow ones stronger, zero at time zero."""

  amplitudes: np.ndarray  # (waves, values)
  frequencies: np.ndarray  # (waves,) in Hz
  phases: np.ndarray  # (waves, values)

  def __call__(self, time: float) -> np.ndarray:
    """Returns the values (values,) at a time in seconds."""
    angle = 2 * np.pi * self.frequencies[:, None] * time + self.phases
    return (self.amplitudes * (np.sin(angle) - np.sin(self.phases))).sum(0)


def draw_drift(rng: np.random.Generator, scales: np.ndarray) -> Drift:
  """Draws a drift.

  Its change over a quarter of a second has the root mean square `scales` (values,).
  """
  frequencies = np.geomspace(0.4, 4.0, 6) * rng.uniform(0.85, 1.15, 6)
  weights = 0.48 / frequencies**0.8
  amplitudes = weights[:, None] * scales * rng.normal(1, 0.3, (6, len(scales)))
  phases = rng.uniform(0, 2 * np.pi, (6, len(scales)))
  return Drift(amplitudes, frequencies, phases)


@dataclasses.dataclass(frozen=True)
class Nuisance:
  """All nuisance in one clip."""

  head: Drift
  light: Drift
  flicker: float
  flicker_phase: float
  rolling: float  # Seconds to read a frame line by line; 0: global shutter.
  noise: float  # Factor on the sensor's noise.
  quality: int  # JPEG quality.

  def pose(self, time: float) -> Pose:
    """Returns how the head has moved since time 0."""
    return Pose(*self.head(time).tolist())

  def gain(self, time: float, rows: int) -> np.ndarray:
    """Returns the factor on all light for each row of the frame, (rows,)."""
    moment = time + self.rolling * np.arange(rows) / rows
    wave = np.cos(2 * np.pi * 100 * moment + self.flicker_phase)
    return (1 + self.light(time)[0] + self.flicker * wave).astype(np.float32)

  def added_light(self, time: float) -> np.ndarray:
    """Returns the light added from the right and from below, (2,), per key light."""
    return self.light(time)[1:]


def draw_nuisance(
  rng: np.random.Generator, camera: Camera, strength: float, only: str = "all"
) -> Nuisance:
  """Draws the nuisance of one clip.

  Args:
    rng: draws.
    camera: the database's, which decides on the amplitudes.
    strength: 0 is none, 1 normal.
    only: one of `KINDS`, to have the others at strength 0, or "all".
  """
  lighting, motion, noise = (
    strength if only in ("all", kind) else 0.0 for kind in KINDS
  )
  varied = float(rng.lognormal(-0.1, 0.35))
  # Change per quarter of a second: shift to the right and down, in distances between
  # the pupils; relative size; roll, yaw and pitch in radians.
  head = np.array((0.005, 0.0065, 0.0013, 0.0023, 0.0033, 0.0036))
  light = np.array((math.hypot(0.018, camera.auto_gain), 0.033, 0.026))
  return Nuisance(
    head=draw_drift(rng, motion * camera.nuisance * varied * head),
    light=draw_drift(rng, lighting * camera.nuisance * varied * light),
    flicker=lighting * camera.flicker,
    flicker_phase=float(rng.uniform(0, 2 * np.pi)),
    rolling=camera.rolling,
    noise=math.sqrt(noise),
    quality=round(100 - noise * (100 - camera.quality)),
  )
