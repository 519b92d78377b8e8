"""Draws a person once, as layers of linear light, which are then warped for each clip.

The painted face is lit by its normals, so that its shading follows the light. The skin
layer has holes at the eye openings, through which a layer of eyes shows, so that lids
slide over the eyes instead of stretching them.
"""

import dataclasses

import cv2
import numpy as np

from data_prep.simulator.portrait.action_units import STEP
from data_prep.simulator.portrait.canvas import PIXELS, grid, smooth_step
from data_prep.simulator.portrait.identity import Identity
from data_prep.simulator.portrait.painter import Painter

_WRAP = 0.3  # Light reaches this far beyond the terminator (soft, large lamps).
# Skin that lies lower than the skin about it, within this distance, by as much, loses
# this share of the light that comes from all sides.
_AROUND, _LOST = 0.05, 0.7
_MOST = 0.5  # Share of the light that relief can add or take.


@dataclasses.dataclass(frozen=True)
class Lighting:
  """Light on a scene: `direction` to the lamp (x right, y down, z to the camera)."""

  direction: tuple[float, float, float] = (0.15, -0.5, 1.0)
  ambient: float = 0.3
  key: float = 0.75


@dataclasses.dataclass(frozen=True)
class Portrait:
  """The layers of a person from which clips are made, on the canvas, float32.

  skin: (H, W, 3), linear RGB times coverage.
  cover: (H, W), coverage from 0 to 1.
  eyes: (H, W, 3), what shows through the eye openings.
  relight: (H, W, 2), relative change of light per unit of light that is added from the
    right and from below.
  depth: (H, W), towards the camera, in distances between the pupils.
  rigid: (H, W), how much a point follows the head: 1 on the head, 0 at the base of the
    neck.
  slope: (h, w, 2), relative change of light of bare skin per unit of slope, where skin
    rises towards the right and downwards; on every `STEP`-th pixel.
  ambient: (h, w), share of the light of bare skin that comes from all sides.
  """

  skin: np.ndarray
  cover: np.ndarray
  eyes: np.ndarray
  relight: np.ndarray
  depth: np.ndarray
  rigid: np.ndarray
  slope: np.ndarray
  ambient: np.ndarray

  def light_on(self, relief: np.ndarray) -> np.ndarray:
    """Computes the relative change of light (h, w) when the skin rises by `relief`.

    `relief`, (h, w) towards the camera in distances between the pupils, is on every
    `STEP`-th canvas pixel. Skin that tilts towards the lamp becomes brighter, hollows
    lose light from all sides. Small changes are proportional to the relief; no shadows
    are cast.
    """
    down, right = np.gradient(relief, STEP / PIXELS)
    lower = cv2.GaussianBlur(relief, (0, 0), _AROUND * PIXELS / STEP) - relief
    change = self.slope[..., 0] * right + self.slope[..., 1] * down
    change -= _LOST * self.ambient * lower / _AROUND
    return _MOST * np.tanh(change / _MOST)


def draw_portrait(
  identity: Identity, lighting: Lighting, rng: np.random.Generator, blur: float = 0.0
) -> Portrait:
  """Paints and lights a person; `blur` is the camera's, in canvas pixels (sigma)."""
  painter = Painter(identity, rng)
  painter.paint()
  shade, relight, slope, ambient = _light(painter.normal, lighting)
  gloss = painter.gloss * _highlight(painter.normal, lighting)
  skin = painter.albedo * (shade * painter.occlusion)[..., None] + gloss[..., None]
  skin *= painter.alpha[..., None]
  cover = painter.alpha
  eyes = painter.paint_eyes() * (lighting.ambient + 0.75 * lighting.key)
  if blur:
    layers = (skin, cover, eyes)
    skin, cover, eyes = (cv2.GaussianBlur(layer, (0, 0), blur) for layer in layers)
  rigid = smooth_step(grid()[1], identity.chin + 0.45, identity.chin - 0.25)
  bare = painter.bare[::STEP, ::STEP]
  return Portrait(
    skin,
    cover,
    eyes,
    relight,
    painter.depth,
    rigid,
    slope=slope[::STEP, ::STEP] * bare[..., None],
    ambient=ambient[::STEP, ::STEP] * bare,
  )


def _light(normal: np.ndarray, light: Lighting) -> tuple[np.ndarray, ...]:
  """Computes wrapped Lambert shading and its relative derivatives.

  Returns:
    The shading (H, W); its relative change per unit of light from the right and from
    below, (H, W, 2), and per unit of slope of the surface to the right and downwards,
    (H, W, 2); the share of ambient light, (H, W).
  """
  toward = np.asarray(light.direction, np.float32)
  toward = toward / np.linalg.norm(toward)
  facing = (normal @ toward + _WRAP) / (1 + _WRAP)
  shade = light.ambient + light.key * np.maximum(facing, 0)
  lit = light.key * smooth_step(facing, -0.05, 0.25) / (1 + _WRAP) / shade
  relight = cv2.GaussianBlur(normal[..., :2] * lit[..., None], (0, 0), 3)
  # The normal of z(x, y) is (-dz/dx, -dz/dy, 1), scaled to length 1.
  toward_lamp = (normal @ toward)[..., None]
  slope = normal[..., 2:] * (normal[..., :2] * toward_lamp - toward[:2])
  return shade, relight, slope * lit[..., None], light.ambient / shade


def _highlight(normal: np.ndarray, light: Lighting) -> np.ndarray:
  """Computes Blinn's highlight of a slightly oily skin."""
  half = np.asarray(light.direction, np.float32)
  half = half / np.linalg.norm(half) + np.array((0, 0, 1), np.float32)
  half /= np.linalg.norm(half)
  return light.key * np.maximum(normal @ half, 0) ** 18
