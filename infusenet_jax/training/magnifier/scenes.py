"""Scenes in sub-pixel motion, made on the fly: what the magnifier learns from.

A scene is one or two textured layers ("dead leaves" over coloured noise: statistics
of natural images without any image), each moving on its own: all of it in one
direction, or locally by smooth bumps as skin does. It is drawn at twice the wanted
resolution and averaged down, so that motion of a hundredth of a pixel is right.

The second frame may also differ in brightness, contrast, colour and shading. Those
are no motion: the target shows the motion `amp` times and the change of light once.
Oh et al. (2018) have no such change in their data, so their network magnifies it.
"""

from typing import NamedTuple

import cv2
import numpy as np

_SCALE = 2  # The resolution that scenes are drawn at, over that of the frames.
_MARGIN = 12  # Pixels drawn around the frame, for motion to bring into view.


class Pairs(NamedTuple):
  """A batch of pairs of frames, each with the true magnified frame.

  Attributes:
    first, second, target: (B, H, W, 3) float32 in [-1, 1].
    amp: (B,) float32, the factor between the motion in `second` and in `target`.
    still: (B,) bool, True where nothing moves: `target` is `second` without noise.
  """

  first: np.ndarray
  second: np.ndarray
  target: np.ndarray
  amp: np.ndarray
  still: np.ndarray


def draw_pairs(
  rng: np.random.Generator, count: int, size: int, still: int = 0
) -> Pairs:
  """Draws `count` pairs of `size` x `size` frames, the last `still` without motion.

  amp is log-uniform in [2, 20]; the magnified motion peaks below 10 px and mostly far
  below, that between the frames below 2 px; noise has a standard deviation of up to
  1.5 / 255.
  """
  pairs = [_draw_pair(rng, size, moves=i < count - still) for i in range(count)]
  return Pairs(*(np.stack(field) for field in zip(*pairs, strict=True)))


def _draw_pair(rng: np.random.Generator, size: int, moves: bool) -> tuple:
  amp = 2 * 10 ** rng.uniform()
  peak = min((0.5 + 9.5 * rng.uniform() ** 1.5) / amp, 2.0) if moves else 0.0
  first, second, target = draw_scene(rng, size, peak, (0, 1, amp))
  if rng.uniform() < 0.7 or not moves:
    light = draw_light(rng, size, strength=rng.uniform())
    second, target = light(second), light(target)
  noise = rng.uniform(0, 1.5)
  first, second = (photograph(rng, frame, noise) for frame in (first, second))
  frames = (np.float32(2 * np.clip(x, 0, 1) - 1) for x in (first, second, target))
  return *frames, np.float32(amp), not moves


def photograph(rng: np.random.Generator, frame, noise: float):
  """Adds sensor noise of standard deviation `noise` / 255 and rounds to 8 bits."""
  return np.round(255 * frame + noise * rng.normal(size=frame.shape)) / 255


def draw_scene(rng: np.random.Generator, size: int, peak: float, times) -> list:
  """Draws a scene at each of several times.

  At time 0 the scene is at rest, at time 1 its motion peaks at `peak` pixels, and at
  time t everything is displaced t times as far.

  Returns:
    A frame (size, size, 3) in [0, 1] for each of `times`.
  """
  extent = _SCALE * (size + 2 * _MARGIN)
  layers = [(_texture(rng, extent), None, draw_motion(rng, extent, peak))]
  if rng.uniform() < 0.5:
    mask = _blob(rng, extent)
    layers.append((_texture(rng, extent), mask, draw_motion(rng, extent, peak)))
  return [_render(layers, t, size) for t in times]


def _render(layers, t: float, size: int):
  frame = None
  for texture, mask, motion in layers:
    moved = displace(texture, t * motion) if t else texture
    if mask is None:
      frame = moved
    else:
      opacity = (displace(mask, t * motion) if t else mask)[..., None]
      frame = opacity * moved + (1 - opacity) * frame
  margin = _SCALE * _MARGIN
  frame = frame[margin:-margin, margin:-margin]
  return np.clip(cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA), 0, 1)


def displace(image, motion):
  """Moves an image by `motion` (h, w, 2), in its pixels, by backward look-up.

  It interpolates by cubic convolution (Keys 1981, a = -1/2), which is exact for slopes.
  OpenCV's cubic is not (a = -3/4, positions rounded to 1/32 pixel), and its Lanczos
  kernel is off by up to 14 % for motions of a hundredth of a pixel.
  """
  h, w = image.shape[:2]
  y, x = np.mgrid[:h, :w].astype(np.float32)
  x = np.clip(x - motion[..., 0], 0, w - 1)
  y = np.clip(y - motion[..., 1], 0, h - 1)
  left, top = x.astype(np.int32), y.astype(np.int32)
  border = ((1, 3), (1, 3), *((0, 0),) * (image.ndim - 2))
  pixels = np.pad(image, border, "symmetric").reshape(-1, *image.shape[2:])
  corner = top * (w + 4) + left
  by_x, by_y = (
    [weight.reshape(h, w, *(1,) * (image.ndim - 2)) for weight in _keys(fraction)]
    for fraction in (x - left, y - top)
  )
  return sum(
    by_y[i]
    * sum(by_x[j] * pixels.take(corner + i * (w + 4) + j, axis=0) for j in range(4))
    for i in range(4)
  )


def _keys(t):
  """Computes the weights of the pixels at -1, 0, 1 and 2 for a position t in [0, 1)."""
  return (
    ((2 - t) * t - 1) * t / 2,
    ((3 * t - 5) * t * t + 2) / 2,
    ((4 - 3 * t) * t + 1) * t / 2,
    (t - 1) * t * t / 2,
  )


def _smooth(rng: np.random.Generator, cells: int, extent: int, channels: int):
  """Draws noise of about `cells` bumps across, with a standard deviation of about 1."""
  coarse = rng.normal(size=(cells + 3, cells + 3, channels)).astype(np.float32)
  return cv2.resize(coarse, (extent, extent), interpolation=cv2.INTER_CUBIC)


def _texture(rng: np.random.Generator, extent: int):
  """Draws coloured noise of several octaves under dead leaves, of a random contrast."""
  image = np.zeros((extent, extent, 3), np.float32)
  persistence = rng.uniform(0.4, 1.0)
  colourful = rng.uniform(0, 0.6)
  for octave in range(7):
    noise = _smooth(rng, 2 << octave, extent, 4)
    image += persistence**octave * (noise[..., :1] + colourful * noise[..., 1:])
  image *= np.float32(rng.uniform(0.02, 0.2))
  image += rng.uniform(0.2, 0.8) + rng.normal(scale=0.12, size=3).astype(np.float32)
  for _ in range(int(rng.integers(0, 40)) if rng.uniform() < 0.8 else 0):
    _drop_leaf(rng, image)
  sigma = rng.uniform(0.5, 2.0)
  image = cv2.GaussianBlur(image, (0, 0), sigma)
  contrast = np.float32(rng.uniform(0.3, 1.1))
  mean = image.mean((0, 1))
  return np.clip((image - mean) * contrast + np.clip(mean, 0.1, 0.9), 0, 1)


def _drop_leaf(rng: np.random.Generator, image) -> None:
  """Covers an ellipse of the image with one colour, more or less opaque.

  Small ellipses are drawn more often than large ones.
  """
  extent = len(image)
  radius = min(2 / rng.uniform(0.02, 1), extent / 6) * _SCALE
  x, y = (int(v) for v in rng.uniform(0, extent, 2))
  reach = int(radius) + 2
  left, top = max(x - reach, 0), max(y - reach, 0)
  window = image[top : y + reach, left : x + reach]
  leaf = np.zeros(window.shape[:2], np.float32)
  axes = tuple(int(v) + 1 for v in radius * rng.uniform(0.3, 1, 2))
  cv2.ellipse(leaf, (x - left, y - top), axes, rng.uniform(0, 180), 0, 360, 1.0, -1)
  colour = np.float32(rng.uniform(0, 1) + rng.normal(scale=0.15, size=3))
  shade = np.float32(0.7 * rng.uniform()) * leaf[..., None]
  window += shade * (colour - window * np.float32(rng.uniform(0.3, 1)))


def _blob(rng: np.random.Generator, extent: int):
  """Draws the opacity of a foreground layer, with an edge about a pixel wide."""
  noise = _smooth(rng, int(rng.integers(2, 6)), extent, 1)
  noise = cv2.GaussianBlur(noise, (0, 0), 3)
  return np.clip(0.5 + (noise - rng.uniform(-0.5, 0.8)) * 20, 0, 1).astype(np.float32)


def draw_motion(rng: np.random.Generator, extent: int, peak: float):
  """Draws a displacement (extent, extent, 2) in pixels of the drawing.

  Its largest length is at most `peak`, given in pixels of the frame.
  """
  angle = rng.uniform(0, 2 * np.pi)
  shift = np.float32([np.cos(angle), np.sin(angle)])
  if rng.uniform() < 0.4:
    field = np.broadcast_to(shift * rng.uniform(), (extent, extent, 2))
  else:
    field = _smooth(rng, int(rng.integers(1, 5)), extent, 2)
    field = field + shift * rng.normal()
    field = field / max(np.linalg.norm(field, axis=-1).max(), 1e-6)
  return (_SCALE * peak * field).astype(np.float32)


def draw_light(rng: np.random.Generator, size: int, strength: float):
  """Draws a change of light: a function of frames (size, size, 3) in [0, 1].

  At strength 1: gain up to 12 % over all and 5 % per channel, a shading that varies
  smoothly by about 6 %, an offset of up to 0.04 and a gamma of up to 1.1.
  """
  gain = 1 + strength * (
    rng.uniform(-0.12, 0.12)
    + rng.uniform(-0.05, 0.05, 3)
    + 0.06 * rng.uniform() * _smooth(rng, int(rng.integers(1, 3)), size, 1)[..., None]
  )
  offset = strength * rng.uniform(-0.04, 0.04)
  gamma = np.exp(strength * rng.uniform(-0.1, 0.1))

  def light(frame):
    return np.clip(gain * frame, 0, 1) ** gamma + offset

  return light
