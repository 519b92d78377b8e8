"""Sets a subject before the camera of their database: portrait, room and lens."""

import dataclasses

import cv2
import numpy as np

from data_prep.simulator.camera.sensor import Camera, camera_of
from data_prep.simulator.camera.warp import Placement, Warp
from data_prep.simulator.plan.population import DATABASES
from data_prep.simulator.portrait import canvas, face
from data_prep.simulator.portrait.identity import draw_identity, linear


class Studio:
  """One subject before their database's camera. Draws the portrait once."""

  def __init__(
    self, database: str, number: int, seed: int, camera: Camera | None = None
  ):
    """`camera` takes the place of the one that filmed this subject."""
    self.camera = camera or camera_of(database, number)
    rng = np.random.default_rng((seed, DATABASES.index(database), number, 4))
    self.identity = draw_identity(rng, self.camera.skin, self.camera.fair)
    self.placement = self._place(rng)
    tilt = rng.normal(0, 0.06, 2)
    light = self.camera.lighting
    direction = np.add(light.direction, (*tilt, 0))
    light = dataclasses.replace(light, direction=tuple(direction))
    blur = self.camera.blur * canvas.PIXELS / self.placement.scale
    self.portrait = face.draw_portrait(self.identity, light, rng, blur)
    self.warp = Warp(self.placement, self.portrait, self.camera.size)
    self.background = self._background(rng)
    self.vignette = self._vignette()
    if not self.camera.colour:
      self._to_grey()

  def _place(self, rng: np.random.Generator) -> Placement:
    height, width = self.camera.size
    scale = self.camera.eyes * float(rng.uniform(0.95, 1.05))
    # The eyes are so high in the frame that crown and chin fit into it.
    centre_y = 0.5 * height - (self.identity.chin - self.identity.crown) / 2 * scale
    centre = (width * (0.5 + rng.normal(0, 0.015)), centre_y + rng.normal(0, 4))
    return Placement(tuple(float(v) for v in centre), scale, float(rng.normal(0, 0.03)))

  def _background(self, rng: np.random.Generator) -> np.ndarray:
    """Draws wall and clothes, (H, W, 3), in linear light."""
    height, width = self.camera.size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    fall = 1 + rng.normal(0, 0.12) * (x / width - 0.5) - 0.15 * (y / height - 0.5)
    stains = rng.standard_normal((12, 16)).astype(np.float32)
    fall += 0.03 * cv2.resize(stains, (width, height), interpolation=cv2.INTER_CUBIC)
    image = linear(np.array(self.camera.wall)).astype(np.float32) * fall[..., None]
    u, v = self.placement.to_face(x, y)
    # Shoulders, which slope from the neck, in cloth with folds.
    top = (
      self.identity.chin
      + 0.38
      + 0.10 * np.abs(u)
      + 0.5 * np.maximum(np.abs(u) - 1.5, 0) ** 2
    )
    top -= 0.12 * np.exp(-0.5 * ((np.abs(u) - 0.68) / 0.14) ** 2)
    cloth = linear(rng.uniform(25, 215) + rng.normal(0, 18, 3).clip(-25, 40))
    folds = rng.standard_normal((6, 30)).astype(np.float32)
    folds = cv2.resize(folds, (width, height), interpolation=cv2.INTER_CUBIC)
    weave = cv2.GaussianBlur(
      rng.standard_normal((height, width), np.float32), (0, 0), 1
    )
    shade = (1 + 0.08 * folds + 0.12 * weave) * (1 - 0.1 * np.abs(u))
    mask = canvas.smooth_step(v - top, -0.015, 0.015)[..., None]
    image += mask * (cloth.astype(np.float32) * shade[..., None] - image)
    return image.astype(np.float32)

  def _vignette(self) -> np.ndarray:
    height, width = self.camera.size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius = np.hypot((x / width - 0.5), (y / height - 0.5)) / np.hypot(0.5, 0.5)
    return (1 - self.camera.vignette * radius**2).astype(np.float32)

  def _to_grey(self) -> None:
    weights = np.array((0.3, 0.55, 0.15), np.float32)
    self.portrait = dataclasses.replace(
      self.portrait,
      skin=self.portrait.skin @ weights,
      eyes=self.portrait.eyes @ weights,
    )
    self.background = self.background @ weights
