"""One sitting of a person before a camera: a picture at any moment, in any pose."""

import functools

import cv2
import numpy as np

from data_prep.simulator.camera.nuisance import Nuisance
from data_prep.simulator.camera.sensor import Camera
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.camera.warp import Pose
from data_prep.simulator.portrait import action_units

EYE_BOX = (0.90, 0.30)  # Half size of the part of the face that holds both eyes.


class Exposure:
  """Takes pictures of a studio's person."""

  def __init__(self, studio: Studio, pose: Pose):
    """`pose` is the one in which changes of the light are reckoned, the onset's."""
    self.studio = studio
    at = studio.warp.full(studio.warp.neutral(pose))
    # Relative change of light by direction, over the box.
    self.relight = cv2.split(cv2.remap(studio.portrait.relight, *at, cv2.INTER_LINEAR))

  def picture(
    self,
    nuisance: Nuisance,
    time: float,
    pose: Pose,
    moved: np.ndarray | None,
    relief: np.ndarray,
    rng: np.random.Generator,
  ) -> np.ndarray:
    """A frame (H, W) or (H, W, 3) uint8, colours in OpenCV's order, BGR.

    Args:
      nuisance: noise, and light as a function of time; the head is in `pose`.
      time: seconds.
      pose: of the head.
      moved: (h, w, 2) displacement by all muscles on the grid of `action_units`, or
        None.
      relief: (h, w) relative change of light by bulges and folds, on that grid.
      rng: draws the noise.
    """
    camera = self.studio.camera
    added = nuisance.added_light(time)
    light = self._linear(added, pose, moved, relief)
    gain = nuisance.gain(time, len(light))
    level = self.studio.vignette * gain[:, None]
    light = cv2.multiply(light, _planes(level, light), dst=light)
    if nuisance.noise:
      spread = cv2.sqrt(camera.shot_noise * light + camera.read_noise**2)
      noise = cv2.multiply(spread, _noise(rng, light), dst=spread)
      light = cv2.scaleAdd(noise, nuisance.noise, light)
    light *= 4095
    step = np.clip(light, 0, 4095, out=light).astype(np.uint16)
    picture = np.take(_tone(camera), step)
    return cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if camera.colour else picture

  def _linear(self, added, pose, moved, relief) -> np.ndarray:
    """Linear light (H, W, 3) or (H, W) before the camera."""
    studio, warp = self.studio, self.studio.warp
    top, bottom, left, right = warp.box
    neutral = warp.neutral(pose)
    head_at = warp.full(neutral)
    face_at = head_at if moved is None else warp.full(warp.canvas(neutral, moved))
    person = cv2.remap(studio.portrait.skin, *face_at, cv2.INTER_LINEAR)
    behind = 1 - cv2.remap(studio.portrait.cover, *face_at, cv2.INTER_LINEAR)
    shade = self._shade(added, face_at, relief)
    if shade is not None:
      person = cv2.multiply(person, _planes(shade, person), dst=person)
    image = studio.background.copy()
    box = np.ascontiguousarray(image[top:bottom, left:right])
    self._show_eyes(box, head_at)
    box = cv2.multiply(box, _planes(behind, box), dst=box)
    image[top:bottom, left:right] = cv2.add(box, person, dst=box)
    return image

  def _shade(self, added, face_at, relief) -> np.ndarray | None:
    """Factor (h, w) on the light of the head: changed lamps, relief; None: 1."""
    shade = None
    if added.any():
      right, down = self.relight
      shade = 1 + cv2.addWeighted(right, added[0], down, added[1], 0)
    if relief.any():
      at = tuple(v / action_units.STEP for v in face_at)
      lit = 1 + cv2.remap(relief, *at, cv2.INTER_LINEAR)
      shade = lit if shade is None else shade * lit
    return shade

  def _show_eyes(self, box: np.ndarray, head_at) -> None:
    """Puts the eyeballs, which follow the head alone, behind the skin."""
    place = self.studio.placement
    width, height = (place.scale * half for half in EYE_BOX)
    x, y = (
      place.centre[0] - self.studio.warp.box[2],
      place.centre[1] - self.studio.warp.box[0],
    )
    rows = slice(max(0, int(y - height)), int(y + height))
    columns = slice(max(0, int(x - width)), int(x + width))
    at = tuple(v[rows, columns] for v in head_at)
    box[rows, columns] = cv2.remap(self.studio.portrait.eyes, *at, cv2.INTER_LINEAR)


@functools.cache
def _tone(camera: Camera) -> np.ndarray:
  return camera.tone()


@functools.cache
def _noise_bank(channels: int) -> np.ndarray:
  rng = np.random.default_rng(20250)
  return np.squeeze(rng.standard_normal((768, 1280, channels), np.float32))


def _noise(rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
  """White noise of the shape of `like`: a piece, at random, of noise drawn once."""
  bank = _noise_bank(1 if like.ndim == 2 else like.shape[2])
  height, width = like.shape[:2]
  top = int(rng.integers(0, bank.shape[0] - height))
  left = int(rng.integers(0, bank.shape[1] - width))
  return bank[top : top + height, left : left + width]


def _planes(plane: np.ndarray, like: np.ndarray) -> np.ndarray:
  """`plane` (H, W) as often as `like` has channels; far faster than broadcasting."""
  return plane if like.ndim == 2 else cv2.merge([plane] * like.shape[2])
