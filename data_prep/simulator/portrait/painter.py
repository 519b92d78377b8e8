"""Paints a person into buffers of albedo and surface normals (a G-buffer).

The skin has holes at the eye openings; the eyes are a layer of their own.
"""

import cv2
import numpy as np

from data_prep.simulator.portrait.canvas import (
  LEFT,
  PIXELS,
  SHAPE,
  SIDES,
  TOP,
  blurred,
  bump,
  disc,
  grid,
  lines,
  smooth_step,
)
from data_prep.simulator.portrait.identity import Identity


class Painter:
  """Paints a person's layers from back to front.

  After `paint`: albedo (H, W, 3), unit normals (H, W, 3), gloss, coverage (alpha),
  occlusion (light that reaches creases and cavities) and how much of the face's skin is
  bare of hair, all (H, W).
  """

  def __init__(self, identity: Identity, rng: np.random.Generator):
    self.who, self.rng = identity, rng
    self.x, self.y = grid()
    self.albedo = np.zeros((*SHAPE, 3), np.float32)
    self.normal = np.zeros((*SHAPE, 3), np.float32)
    self.normal[..., 2] = 1
    self.gloss, self.alpha = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    self.occlusion = np.ones(SHAPE, np.float32)
    self.radius = self._outline()
    self.depth = self._depth()
    self.texture = self._texture()

  def paint(self) -> None:
    who = self.who
    self._hair_behind()
    self._neck()
    self._ears()
    edge = (1 - self.radius) * PIXELS * who.head_width
    self.bare = np.clip(edge + 0.5, 0, 1)
    self._over(self.bare, self._skin(), _normals(self.depth), 0.045)
    self._hair_in_front()
    self.alpha *= 1 - self.opening

  # -- Shape ---------------------------------------------------------------

  def _outline(self) -> np.ndarray:
    """Computes a distance from the head's centre that is 1 on its outline."""
    who, x, y = self.who, self.x, self.y
    below = y > 0
    width = who.head_width * (1 - who.taper * np.maximum(y, 0) / who.chin)
    power = np.where(below, who.jaw, 2.15).astype(np.float32)
    height = np.where(below, who.chin, who.crown).astype(np.float32)
    return (np.abs(x / width) ** power + np.abs(y / height) ** power) ** (1 / power)

  def _depth(self) -> np.ndarray:
    who, x, y = self.who, self.x, self.y
    side = np.abs(x)
    fall = np.maximum(1 - self.radius**2, -0.3)
    z = 0.95 * np.sqrt(np.maximum(fall, 0.04)) + 2.4 * np.minimum(fall - 0.04, 0)
    ridge = smooth_step(y, -0.25, who.nose_tip) * (who.nose_height - 0.05) + 0.05
    ridge *= smooth_step(y, -0.35, 0.0)
    ridge *= smooth_step(y, who.nose_tip + 0.17, who.nose_tip - 0.02)
    width = 0.075 + 0.05 * smooth_step(y, 0.2, who.nose_tip)
    z += ridge * np.exp(-0.5 * (x / width) ** 2)
    wing = who.nose_width - 0.08
    z += 0.11 * bump(side, y, wing, who.nose_tip - 0.01, 0.07, 0.085)
    z += 0.06 * bump(side, y, 0.45, who.brow_y + 0.06, 0.35, 0.09)
    z -= 0.13 * bump(side, y, 0.36, -0.02, 0.24, 0.15)
    z += 0.075 * bump(side, y, 0.5, 0.0, 0.17, 0.10)
    z += 0.10 * bump(side, y, 0.62, 0.42, 0.25, 0.24)
    z += 0.07 * bump(x, y, 0, who.mouth, 0.36, 0.17)
    upper, lower = who.mouth - 0.5 * who.upper_lip, who.mouth + 0.5 * who.lower_lip
    z += 0.045 * bump(x, y, 0, upper, 0.24, 0.045)
    z += 0.06 * bump(x, y, 0, lower, 0.22, 0.055)
    z -= 0.035 * bump(x, y, 0, who.mouth + who.lower_lip + 0.09, 0.25, 0.06)
    z -= 0.02 * bump(x, y, 0, who.mouth - who.upper_lip - 0.1, 0.04, 0.09)
    z += 0.10 * bump(x, y, 0, who.chin - 0.24, 0.2, 0.15)
    return cv2.GaussianBlur(z, (0, 0), 2.5)

  def _texture(self) -> np.ndarray:
    """Draws the relative brightness of skin, (H, W): pores, blotches of all sizes."""
    total = np.zeros(SHAPE, np.float32)
    for sigma, strength in ((0.8, 0.028), (1.8, 0.028), (4.5, 0.026), (13, 0.03)):
      shrink = max(1, int(sigma / 1.5))
      small = (-(-SHAPE[0] // shrink), -(-SHAPE[1] // shrink))
      noise = self.rng.standard_normal(small, np.float32)
      noise = cv2.GaussianBlur(noise, (0, 0), sigma / shrink)
      noise = cv2.resize(noise, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
      total += strength * noise / noise.std()
    return total

  # -- Layers --------------------------------------------------------------

  def _over(self, mask, albedo, normal, gloss=0.0) -> None:
    """Paints a layer over the others; `mask` in [0, 1] is its opacity."""
    cover = mask[..., None]
    self.albedo += cover * (albedo - self.albedo)
    self.normal += cover * (normal - self.normal)
    self.gloss += mask * (gloss - self.gloss)
    self.alpha += mask * (1 - self.alpha)

  def _hair_behind(self) -> None:
    who, x, y = self.who, self.x, self.y
    volume = 1 + who.hair_volume
    half = who.head_width * (volume + 0.04)
    top = (np.abs(x / half) ** 2.2 + np.abs(y / (who.crown * volume)) ** 2.2) ** 0.45
    fall = np.abs(x) / (half * (1 + 0.05 * np.sin(3 * y))) + 0 * y
    radius = np.where(y < 0, top, fall)
    end = y - who.hair_length - 0.35 * self._strands(3)
    mask = smooth_step(radius, 1.015, 0.985) * smooth_step(end, 0.02, -0.02)
    self._over(mask, self._hair_colour() * 0.7, self._ball(1.3))

  def _neck(self) -> None:
    who, x, y = self.who, self.x, self.y
    half = 0.62 + 0.35 * smooth_step(y, who.chin + 0.25, who.chin + 0.75) ** 2
    below = who.chin + 0.42 + 0.28 * np.exp(-0.5 * (x / 0.3) ** 2)
    mask = smooth_step(np.abs(x) - half, 0.012, -0.012)
    mask *= smooth_step(y, 0.9, 1.0) * smooth_step(y, below + 0.01, below - 0.01)
    across = np.clip(x / (half * 1.05), -0.95, 0.95)
    normal = np.stack([across, 0 * x + 0.15, np.sqrt(1 - across**2)], -1)
    skin = who.skin * (1 + self.texture[..., None])
    shadow = 1 - 0.55 * smooth_step(self.radius, 1.32, 1.0) * smooth_step(y, 0.8, 1.5)
    self._over(mask, skin * 0.9 * shadow[..., None], normal, 0.01)

  def _ears(self) -> None:
    who, x, y = self.who, self.x, self.y
    for side in SIDES:
      u = (side * x - who.head_width * 0.99) / 0.15
      v = (y - 0.28) / 0.36
      radius = np.sqrt((u - 0.25 * v) ** 2 + v**2)
      normal = np.stack([0.6 * side + 0.2 * u, 0.3 * v, 0.75 + 0 * x], -1)
      inner = 1 - 0.4 * bump(radius, 0 * y, 0.62, 0, 0.16, 1) * smooth_step(v, 1, 0.2)
      tone = who.skin * np.array((1.0, 0.88, 0.86), np.float32)
      tone = tone * (inner * (1 + self.texture))[..., None]
      self._over(smooth_step(radius, 1.04, 0.97), tone, normal, 0.01)

  def _skin(self) -> np.ndarray:
    """Paints the albedo of the face with all its features; sets `opening`."""
    who, x, y = self.who, self.x, self.y
    side = np.abs(x)
    light = 1 + self.texture
    # Creases and cavities, which are dark in any light.
    occlusion = self.occlusion
    occlusion -= 0.22 * bump(side, y, 0.31, -0.03, 0.13, 0.13)
    occlusion -= 0.10 * bump(side, y, 0.52, 0.16, 0.2, 0.045)
    wing = who.nose_width
    occlusion -= 0.3 * bump(side, y, wing + 0.012, who.nose_tip + 0.01, 0.022, 0.075)
    fold = wing + 0.05 + 0.28 * (y - who.nose_tip) + 0.1 * (y - who.nose_tip) ** 2
    occlusion -= 0.11 * bump(side, y, fold, who.nose_tip + 0.2, 0.03, 0.16)
    occlusion -= 0.22 * bump(x, y, 0, who.nose_tip + 0.13, 0.2, 0.035)
    occlusion -= 0.16 * bump(x, y, 0, who.mouth + who.lower_lip + 0.05, 0.22, 0.035)
    occlusion -= 0.2 * smooth_step(self.radius, 0.9, 1.02) * smooth_step(y, 0.2, 1.2)
    nostril = bump(side, y, wing * 0.45, who.nose_tip + 0.095, 0.048, 0.024)
    occlusion *= 1 - 0.8 * smooth_step(nostril, 0.25, 0.8)
    red = who.redness * (
      bump(side, y, 0.6, 0.6, 0.28, 0.24) + 0.9 * bump(x, y, 0, who.nose_tip, 0.2, 0.14)
    )
    albedo = who.skin * light[..., None]
    albedo *= 1 - red[..., None] * np.array((0.25, 1.0, 0.8), np.float32)
    self._freckles(albedo)
    self._stubble(albedo)
    self._lips(albedo)
    self._brows(albedo)
    self._lids(albedo)
    return albedo

  def _freckles(self, albedo: np.ndarray) -> None:
    spots = np.zeros(SHAPE, np.uint8)
    for _ in range(self.who.freckles):
      at = self.rng.uniform((-0.9, -0.7), (0.9, 1.6))
      size = 0.011 + 0.012 * self.rng.random() ** 3
      disc(spots, *at, size, int(self.rng.integers(60, 190)))
    albedo *= 1 - 0.6 * blurred(spots, 0.8)[..., None]

  def _stubble(self, albedo: np.ndarray) -> None:
    who, side, y = self.who, np.abs(self.x), self.y
    area = smooth_step(self.radius, 0.4, 0.7) * smooth_step(y, 0.75, 1.1)
    area *= smooth_step(side, 1.1, 0.6)
    grain = 1 - 6 * self.texture
    albedo *= 1 - (who.stubble * area * grain)[..., None]

  def _lips(self, albedo: np.ndarray) -> None:
    who, x, y = self.who, self.x, self.y
    u = np.clip(np.abs(x) / who.mouth_width, 0, 1)
    full = np.maximum(1 - u**2, 0)
    bow = 1 - 0.28 * np.exp(-0.5 * (x / 0.045) ** 2)
    line = who.mouth + 0.016 * np.cos(3.1 * u) - 0.012 * u
    upper = line - who.upper_lip * full**0.8 * bow
    lower = line + who.lower_lip * full**0.65
    soft = 1.6 / PIXELS
    inside = smooth_step(np.abs(x), who.mouth_width + 0.01, who.mouth_width - 0.04)
    mask = smooth_step(y - upper, -soft, soft) * smooth_step(lower - y, -2 * soft, soft)
    mask *= inside
    stripes = 1 + 0.5 * cv2.GaussianBlur(self.texture, (0, 0), sigmaX=0.6, sigmaY=5)
    tone = who.lips * np.where(y < line, 0.82, 1.0)[..., None] * stripes[..., None]
    albedo += 0.85 * mask[..., None] * (tone - albedo)
    thickness = 0.009 + 0.008 * full
    gap = np.exp(-0.5 * ((y - line) / thickness) ** 2) * inside
    self.occlusion *= 1 - 0.72 * gap
    corner = bump(np.abs(x), y, who.mouth_width, who.mouth + 0.005, 0.03, 0.022)
    self.occlusion *= 1 - 0.35 * corner

  def _brows(self, albedo: np.ndarray) -> None:
    who, rng = self.who, self.rng
    strokes = np.zeros(SHAPE, np.uint8)
    for side in SIDES:
      t = rng.random(int(260 * who.brow_density))
      thickness = who.brow_thickness * (1 - 0.75 * t**2) * smooth_step(t, -0.15, 0.12)
      px = 0.16 + 2 * who.brow_length * t
      arch = who.brow_arch * (1 - (2 * t - 1.1) ** 2)
      py = who.brow_y + 0.02 - arch + 0.03 * t
      py = py + thickness * rng.uniform(-1, 1, len(t))
      angle = -1.0 + 1.15 * t + 0.25 * rng.standard_normal(len(t))
      length = 0.075 + 0.03 * rng.random(len(t))
      start = np.stack([side * px, py], -1)
      end = start + length[:, None] * np.stack(
        [side * np.cos(angle), np.sin(angle)], -1
      )
      lines(strokes, start, end, 190, 1)
    mask = np.maximum(1.2 * blurred(strokes, 0.7), 0.85 * blurred(strokes, 4))
    tone = 0.9 * who.hair + 0.006
    albedo += np.clip(who.brow_density * mask, 0, 0.93)[..., None] * (tone - albedo)

  def eye_lines(self, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the place along an eye, -1 to 1 outwards, and the y of both lids."""
    who = self.who
    u = (side * self.x - 0.5) / who.eye_width
    inside = np.clip(u, -1, 1)
    tilt = -who.eye_tilt * who.eye_width * inside
    upper = tilt - who.eye_height * (1 - np.abs(inside - 0.1 * (1 - inside**2)) ** 2.3)
    lower = tilt + 0.8 * who.eye_height * (1 - inside**2)
    return u, upper, lower

  def _lids(self, albedo: np.ndarray) -> None:
    who, y = self.who, self.y
    self.opening = np.zeros(SHAPE, np.float32)
    for side in SIDES:
      u, upper, lower = self.eye_lines(side)
      near = smooth_step(np.abs(u), 1.12, 0.98)
      soft = 0.8 / PIXELS
      hole = smooth_step(y - upper, -soft, soft) * smooth_step(lower - y, -soft, soft)
      self.opening = np.maximum(self.opening, hole * (np.abs(u) < 1))
      lash = np.exp(-0.5 * ((y - upper + 0.010) / 0.013) ** 2) * near
      rim = np.exp(-0.5 * ((y - lower - 0.008) / 0.009) ** 2) * near
      albedo *= 1 - (0.88 * lash * (0.75 + 0.25 * u.clip(-1, 1)))[..., None]
      albedo *= 1 - (0.35 * rim)[..., None]
      if who.lid_crease:
        high = upper - who.lid_crease * (0.75 + 0.25 * (1 - u.clip(-1, 1) ** 2))
        crease = np.exp(-0.5 * ((y - high) / 0.013) ** 2)
        self.occlusion *= 1 - 0.4 * crease * smooth_step(np.abs(u), 1.15, 0.7)

  def paint_eyes(self) -> np.ndarray:
    """Paints the eyeballs, (H, W, 3), which lie under the skin."""
    who = self.who
    eyes = np.empty((*SHAPE, 3), np.float32)
    eyes[:] = np.array((0.60, 0.55, 0.52), np.float32)
    glance = self.rng.normal(0, 0.008, 2).tolist()
    rows = slice(*(int((v - TOP) * PIXELS) for v in (-0.3, 0.3)))
    for side in SIDES:
      columns = slice(*(int((0.5 * side + v - LEFT) * PIXELS) for v in (-0.4, 0.4)))
      here = rows, columns
      x, y = self.x[here], self.y[here]
      u, upper, lower = (part[here] for part in self.eye_lines(side))
      centre_x, centre_y = side * 0.5 + glance[0], -0.012 + glance[1]
      distance = np.hypot(x - centre_x, y - centre_y) / who.iris_radius
      angle = np.arctan2(y - centre_y, x - centre_x)
      rays = 1 + 0.18 * np.sin(23 * angle + 3 * np.sin(5 * angle))
      ring = 1 - 0.6 * smooth_step(distance, 0.75, 1.0)
      iris = who.iris * (1.5 * rays * ring)[..., None]
      ball = eyes[here]
      ball *= (1 - 0.45 * smooth_step(np.abs(u), 0.45, 1.05))[..., None]
      ball += smooth_step(distance, 1.06, 0.96)[..., None] * (iris - ball)
      ball *= (1 - 0.95 * smooth_step(distance, 0.42, 0.34))[..., None]
      ball *= (1 - 0.55 * smooth_step(y - upper, 0.05, 0.0))[..., None]
      ball *= (1 - 0.25 * smooth_step(lower - y, 0.03, 0.0))[..., None]
      ball += (
        0.85 * bump(x, y, centre_x - 0.028, centre_y - 0.035, 0.014, 0.014)[..., None]
      )
      tear = bump(side * x, y, 0.5 - 0.93 * who.eye_width, 0.012, 0.03, 0.022)
      ball += tear[..., None] * (np.array((0.5, 0.28, 0.25), np.float32) - ball)
    return eyes

  def _hair_in_front(self) -> None:
    who, x, y = self.who, self.x, self.y
    side = np.abs(x)
    # The hair leaves an arch of the face free; a fringe hangs into it from the parting.
    arch = (side / (0.9 * who.head_width)) ** 2.4
    arch = (arch + (np.maximum(-y, 0) / who.hairline) ** 2.4) ** (1 / 2.4)
    low = who.brow_y - 0.15 - 0.25 * (x - who.parting) ** 2
    low = low - (1 - who.fringe) * (who.hairline + low) - 3 * (who.fringe == 0)
    edge = np.minimum(
      1 - arch + 0.04 * self._strands(2), y - low + 0.1 * self._strands(2)
    )
    edge = np.maximum(edge, y - who.hair_length - 0.2 * self._strands(3))
    mask = smooth_step(edge, 0.035, -0.035)
    volume = 1 + who.hair_volume
    half = who.head_width * volume
    outline = np.where(
      y < 0,
      (np.abs(x / half) ** 2.2 + np.abs(y / (who.crown * volume)) ** 2.2) ** 0.45,
      side / half,
    )
    mask *= smooth_step(outline, 1.01, 0.98)
    self._over(mask, self._hair_colour(), self._ball(volume), 0.02)
    self.bare = self.bare * (1 - mask)
    # Hair shades the skin below it.
    shadow = 0.3 * smooth_step(edge, 0.3, 0.0) * (1 - mask)
    self.occlusion *= 1 - shadow * (self.radius < 1)

  def _strands(self, coarse: int) -> np.ndarray:
    """Draws streaky noise for strands, (H, W), of a standard deviation of about 0.3."""
    rows, columns = 16, 700 // coarse
    noise = self.rng.standard_normal((rows, columns), np.float32) * 0.45
    x, y = self.x - self.who.parting, self.y + 0.9 * self.who.crown
    angle = np.arctan2(x, -y - 0.02)
    radius = np.hypot(x, y)
    map_x = (angle / (2 * np.pi) + 0.5) * (columns - 1)
    map_y = radius / 4.2 * (rows - 1)
    return cv2.remap(noise, map_x, map_y, cv2.INTER_LINEAR)

  def _hair_colour(self) -> np.ndarray:
    fine = 1 + 1.0 * self._strands(1) + 0.9 * self._strands(6)
    radius = np.hypot(self.x, self.y + 0.3) + 0.06 * self._strands(4)
    shine = (
      0.03
      * np.maximum(fine, 0)
      * bump(radius, 0, 1.15, 0, 0.12, 1)
      * smooth_step(self.y, 0.2, -0.5)
    )
    return self.who.hair * np.clip(fine, 0.35, 2.4)[..., None] + shine[..., None]

  def _ball(self, size: float) -> np.ndarray:
    """Computes the normals of a ball around the head, for hair."""
    u = np.clip(self.x / (self.who.head_width * size), -0.9, 0.9)
    v = np.clip(self.y / (self.who.crown * size), -0.9, 0.9)
    length = np.sqrt(np.maximum(1 - u * u - v * v, 0.05))
    normal = np.stack([u, v, length], -1)
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def _normals(depth: np.ndarray) -> np.ndarray:
  """Computes unit normals (H, W, 3) of a surface; its steepness is limited."""
  dx = cv2.Sobel(depth, cv2.CV_32F, 1, 0, ksize=3, scale=PIXELS / 8)
  dy = cv2.Sobel(depth, cv2.CV_32F, 0, 1, ksize=3, scale=PIXELS / 8)
  slope = np.hypot(dx, dy) + 1e-6
  limit = 2.2 * np.tanh(slope / 2.2) / slope
  normal = np.stack([-dx * limit, -dy * limit, np.ones_like(dx)], -1)
  return normal / np.linalg.norm(normal, axis=-1, keepdims=True)
