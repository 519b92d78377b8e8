"""The six databases' cameras: sensors, lenses, lamps, rooms and how frames are stored.

Sizes are those of the published sensors; large ones are scaled by `scale`, so that a
face is about 300 pixels tall, since what they add would be thrown away by the crop to
224 pixels. Tone curves, noise and compression are plausible values, not measured ones.
"""

import dataclasses

import numpy as np

from data_prep.simulator.portrait.face import Lighting


@dataclasses.dataclass(frozen=True)
class Camera:
  """One database's camera and room. Light is linear; 1 saturates the sensor."""

  width: int  # Of the published sensor, in pixels; frames are `scale` times as large.
  height: int
  scale: float
  colour: bool
  eyes: float  # Mean distance between the pupils in the written frames, pixels.
  gamma: float  # First part of the tone curve: out = x^(1 / gamma).
  contrast: float  # Strength of its second part, an S-shaped curve.
  shot_noise: float  # Noise variance = shot_noise * light + read_noise^2.
  read_noise: float
  quality: int  # JPEG quality.
  blur: float  # Lens and demosaicing, sigma in written pixels.
  vignette: float  # Loss of light in the corners.
  lighting: Lighting
  wall: tuple[float, float, float]  # sRGB of the background.
  flicker: float  # Amplitude of the lamps' 100 Hz.
  rolling: float  # Time to read the frame line by line, seconds; 0: global shutter.
  auto_gain: float  # Amplitude of the camera's own exposure drift.
  nuisance: float  # Factor on everything else in nuisance.py.
  skin: tuple[float, float] = (0.0, 1.6)  # Range of tones, see identity.SKIN.
  fair: float = 0.0  # Share of people with light hair and eyes.

  @property
  def size(self) -> tuple[int, int]:
    """(height, width) of the written frames."""
    return round(self.height * self.scale), round(self.width * self.scale)

  def tone(self) -> np.ndarray:
    """Makes the table from 12-bit linear light to 8 bits, (4096,) uint8."""
    x = np.linspace(0, 1, 4096) ** (1 / self.gamma)
    curve = x + self.contrast * (x * x * (3 - 2 * x) - x)
    return np.round(255 * curve).astype(np.uint8)


_CASME = Camera(
  width=640, height=480, scale=1.0, colour=True, eyes=98,
  gamma=2.0, contrast=0.25, shot_noise=4e-5, read_noise=0.0022, quality=90,
  blur=0.8, vignette=0.12, lighting=Lighting((-0.45, -0.45, 1.0), 0.42, 0.62),
  wall=(176, 178, 170), flicker=0.006, rolling=0.0, auto_gain=0.012, nuisance=1.1,
)  # fmt: skip

CAMERAS = {
  "casme": _CASME,
  # Four LED lamps behind umbrellas: even, steady light.
  "casme2": Camera(
    width=640, height=480, scale=1.0, colour=True, eyes=104,
    gamma=2.2, contrast=0.15, shot_noise=5e-5, read_noise=0.003, quality=90,
    blur=0.7, vignette=0.10, lighting=Lighting((0.1, -0.35, 1.0), 0.48, 0.6),
    wall=(120, 128, 132), flicker=0.003, rolling=0.0, auto_gain=0.0, nuisance=0.8,
  ),
  "samm": Camera(
    width=2040, height=1088, scale=0.4, colour=False, eyes=90,
    gamma=1.7, contrast=0.2, shot_noise=3e-5, read_noise=0.003, quality=92,
    blur=0.55, vignette=0.16, lighting=Lighting((0.25, -0.3, 1.0), 0.32, 0.48),
    wall=(150, 150, 150), flicker=0.004, rolling=0.0, auto_gain=0.0, nuisance=0.9,
    skin=(0.0, 4.0), fair=0.4,
  ),
  "fourd": Camera(
    width=640, height=480, scale=1.0, colour=False, eyes=100,
    gamma=2.2, contrast=0.0, shot_noise=4e-5, read_noise=0.0025, quality=92,
    blur=0.75, vignette=0.2, lighting=Lighting((-0.15, -0.6, 1.0), 0.38, 0.42),
    wall=(92, 94, 98), flicker=0.005, rolling=0.0, auto_gain=0.005, nuisance=1.0,
    skin=(0.0, 3.2), fair=0.3,
  ),
  "mmew": Camera(
    width=1920, height=1080, scale=0.4, colour=True, eyes=90,
    gamma=2.2, contrast=0.35, shot_noise=3e-5, read_noise=0.002, quality=88,
    blur=0.6, vignette=0.08, lighting=Lighting((0.5, -0.4, 1.0), 0.38, 0.55),
    wall=(196, 198, 202), flicker=0.006, rolling=0.012, auto_gain=0.01, nuisance=1.0,
  ),
  # A depth camera's colour sensor in an ordinary room.
  "casme3a": Camera(
    width=1280, height=720, scale=0.625, colour=True, eyes=93,
    gamma=2.0, contrast=0.3, shot_noise=7e-5, read_noise=0.003, quality=84,
    blur=0.85, vignette=0.14, lighting=Lighting((-0.3, -0.7, 1.0), 0.42, 0.62),
    wall=(160, 156, 148), flicker=0.008, rolling=0.016, auto_gain=0.015, nuisance=1.2,
  ),
}  # fmt: skip

# CASME was filmed with two cameras; subjects up to this number with the larger one.
CASME_LARGE_UP_TO = 7
_CASME_LARGE = dataclasses.replace(
  _CASME, width=1280, height=720, scale=0.625, eyes=93, blur=0.7,
  lighting=Lighting((0.7, -0.35, 1.0), 0.4, 0.62), rolling=0.012,
)  # fmt: skip


def camera_of(database: str, subject: int) -> Camera:
  """Returns the camera that filmed subject number `subject` of a database."""
  if database == "casme" and subject <= CASME_LARGE_UP_TO:
    return _CASME_LARGE
  return CAMERAS[database]
