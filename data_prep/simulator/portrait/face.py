"""Draws a person once, as layers of linear light, which are then warped for each clip.

The painted face is lit by its normals, so that its shading follows the light. The skin
layer has holes at the eye openings, through which a layer of eyes shows, so that lids
slide over the eyes instead of stretching them.
"""

import dataclasses

import cv2
import numpy as np

from data_prep.simulator.portrait.canvas import grid, smooth_step
from data_prep.simulator.portrait.identity import Identity
from data_prep.simulator.portrait.painter import Painter

_WRAP = 0.3  # Light reaches this far beyond the terminator (soft, large lamps).


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
  """

  skin: np.ndarray
  cover: np.ndarray
  eyes: np.ndarray
  relight: np.ndarray
  depth: np.ndarray
  rigid: np.ndarray


def draw_portrait(
  identity: Identity, lighting: Lighting, rng: np.random.Generator, blur: float = 0.0
) -> Portrait:
  """Paints and lights a person; `blur` is the camera's, in canvas pixels (sigma)."""
  painter = Painter(identity, rng)
  painter.paint()
  shade, relight = _light(painter.normal, lighting)
  gloss = painter.gloss * _highlight(painter.normal, lighting)
  skin = painter.albedo * (shade * painter.occlusion)[..., None] + gloss[..., None]
  skin *= painter.alpha[..., None]
  cover = painter.alpha
  eyes = painter.paint_eyes() * (lighting.ambient + 0.75 * lighting.key)
  if blur:
    layers = (skin, cover, eyes)
    skin, cover, eyes = (cv2.GaussianBlur(layer, (0, 0), blur) for layer in layers)
  rigid = smooth_step(grid()[1], identity.chin + 0.45, identity.chin - 0.25)
  return Portrait(skin, cover, eyes, relight, painter.depth, rigid)


def _light(normal: np.ndarray, light: Lighting) -> tuple[np.ndarray, np.ndarray]:
  """Computes wrapped Lambert shading (H, W) and its relative derivative (H, W, 2)."""
  toward = np.asarray(light.direction, np.float32)
  toward = toward / np.linalg.norm(toward)
  facing = (normal @ toward + _WRAP) / (1 + _WRAP)
  shade = light.ambient + light.key * np.maximum(facing, 0)
  lit = light.key * smooth_step(facing, -0.05, 0.25) / (1 + _WRAP) / shade
  relight = cv2.GaussianBlur(normal[..., :2] * lit[..., None], (0, 0), 3)
  return shade, relight


def _highlight(normal: np.ndarray, light: Lighting) -> np.ndarray:
  """Computes Blinn's highlight of a slightly oily skin."""
  half = np.asarray(light.direction, np.float32)
  half = half / np.linalg.norm(half) + np.array((0, 0, 1), np.float32)
  half /= np.linalg.norm(half)
  return light.key * np.maximum(normal @ half, 0) ** 18
