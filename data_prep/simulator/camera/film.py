"""Films one planned clip: the portrait warped, lit and put through the camera."""

import dataclasses
import functools
import math

import cv2
import numpy as np

from data_prep.simulator.camera.nuisance import draw_nuisance
from data_prep.simulator.camera.sensor import Camera
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.camera.warp import COARSE, Pose
from data_prep.simulator.plan.population import INTENSITY, PlannedClip
from data_prep.simulator.portrait import action_units
from data_prep.simulator.portrait.canvas import SIDES, grid
from infusenet_jax.clips.alignment import EYES_APART

CROP_EYES = EYES_APART * 224  # Distance between the pupils in a 224 px crop, pixels.
_EYE_BOX = (0.90, 0.30)  # Half size of the part of the face that holds both eyes.
_MOVING = 0.1  # Pixels in a 224 px crop from which a point counts as moving.


@dataclasses.dataclass(frozen=True)
class Truth:
  """What really moved from onset to the annotated apex, and where the eyes are.

  au_flow and total_flow: (h, w, 2) float16, pixels of the frame, u right, v down;
  sample [i, j] belongs to the frame's pixel (left + j * step, top + i * step), which
  may be a half-pixel. moving: (h, w) bool, where the AUs move a 224 px crop by 0.1 px.
  eyes: (2, 2) float64, the middles of the sockets in the onset, (x, y) in pixels of the
  frame, the picture's left one first. The pupils stray from them by 1 % of the distance
  between them.
  """

  au_flow: np.ndarray
  total_flow: np.ndarray
  moving: np.ndarray
  eyes: np.ndarray
  left: float
  top: float
  step: int


class Film:
  """One clip in a studio: `frame(n)` for any of its frames, and `truth()`."""

  def __init__(
    self, clip: PlannedClip, studio: Studio, nuisance: float, only: str = "all"
  ):
    self.clip, self.studio = clip, studio
    rng = np.random.default_rng((*clip.seed, 5))
    self.nuisance = draw_nuisance(rng, studio.camera, nuisance, only)
    sit = rng.normal(0, 1, 6) * (0.02, 0.02, 0.004, 0.012, 0.02, 0.02)
    self.sitting = Pose(*sit.tolist())
    self.skew = float(rng.uniform(0.8, 1.3))
    self.rest = float(rng.uniform(0.0, 0.3))
    self.blink_at = float(rng.uniform(0, clip.offset - clip.onset))
    self.field, self.lines = self._face_motion()
    self._prepare_light()

  # -- Motion --------------------------------------------------------------

  def _face_motion(self) -> tuple[np.ndarray, np.ndarray]:
    """At the apex: displacement (h, w, 2), darkening by wrinkles (h, w)."""
    who = self.studio.identity
    x, _ = grid(action_units.STEP)
    field, lines = np.zeros((*x.shape, 2), np.float32), np.zeros(x.shape, np.float32)
    for shown in self.clip.shown:
      for side, peak in ((-1, shown.left), (1, shown.right)):
        if not peak:
          continue
        field += peak / CROP_EYES * action_units.displacement(shown.au, who, side)
        deeper = action_units.wrinkles(shown.au, who, side)
        if deeper is not None:
          lines += 0.05 * peak * deeper
    longest = CROP_EYES * np.linalg.norm(field, axis=-1).max()
    if longest > INTENSITY[1]:
      field *= INTENSITY[1] / longest
    return field, np.minimum(lines, 0.3)

  def intensity(self, frame: int) -> float:
    """Share of the apex's motion shown in a frame, in [0, 1]: 0 at the onset."""
    clip = self.clip
    if frame <= clip.true_apex:
      t = (frame - clip.onset) / (clip.true_apex - clip.onset)
      return _ease(t**self.skew)
    t = (frame - clip.true_apex) / max(clip.offset - clip.true_apex, 1)
    return 1 - (1 - self.rest) * _ease(t**self.skew)

  def _moved(self, frame: int) -> np.ndarray | None:
    """Displacement (h, w, 2) by all muscles in a frame."""
    field = self.intensity(frame) * self.field
    if self.clip.blink:
      # A blink closes in 0.1 s and opens in 0.15 s.
      t = (frame - self.clip.onset - self.blink_at) / self.clip.fps
      closed = math.exp(-0.5 * (t / (0.05 if t < 0 else 0.075)) ** 2)
      for side in SIDES:
        lid = action_units.displacement(45, self.studio.identity, side)
        field = field + closed * self.clip.blink / CROP_EYES * lid
    return field if field.any() else None

  def _pose(self, frame: int) -> Pose:
    return self.sitting + self.nuisance.pose(self._time(frame))

  def _time(self, frame: int) -> float:
    return (frame - self.clip.onset) / self.clip.fps

  # -- Light ---------------------------------------------------------------

  def _prepare_light(self) -> None:
    """Relative change of light by direction, over the box, at the onset's pose."""
    warp = self.studio.warp
    at = warp.full(warp.neutral(self._pose(self.clip.onset)))
    relight = cv2.remap(self.studio.portrait.relight, *at, cv2.INTER_LINEAR)
    self.relight = cv2.split(relight)

  # -- Pictures ------------------------------------------------------------

  def frame(self, number: int) -> np.ndarray:
    """A frame (H, W) or (H, W, 3) uint8, colours in OpenCV's order, BGR."""
    camera, clip = self.studio.camera, self.clip
    light = self._linear(number)
    gain = self.nuisance.gain(self._time(number), len(light))
    level = self.studio.vignette * gain[:, None]
    light = cv2.multiply(light, _planes(level, light), dst=light)
    if self.nuisance.noise:
      spread = cv2.sqrt(camera.shot_noise * light + camera.read_noise**2)
      rng = np.random.default_rng((*clip.seed, 6, number))
      noise = cv2.multiply(spread, _noise(rng, light), dst=spread)
      light = cv2.scaleAdd(noise, self.nuisance.noise, light)
    light *= 4095
    step = np.clip(light, 0, 4095, out=light).astype(np.uint16)
    picture = np.take(_tone(camera), step)
    return cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if camera.colour else picture

  def _linear(self, number: int) -> np.ndarray:
    """Linear light (H, W, 3) or (H, W) before the camera."""
    studio, warp = self.studio, self.studio.warp
    top, bottom, left, right = warp.box
    neutral = warp.neutral(self._pose(number))
    head_at = warp.full(neutral)
    moved = self._moved(number)
    face_at = head_at if moved is None else warp.full(warp.canvas(neutral, moved))
    person = cv2.remap(studio.portrait.skin, *face_at, cv2.INTER_LINEAR)
    behind = 1 - cv2.remap(studio.portrait.cover, *face_at, cv2.INTER_LINEAR)
    shade = self._shade(number, face_at)
    if shade is not None:
      person = cv2.multiply(person, _planes(shade, person), dst=person)
    image = studio.background.copy()
    box = np.ascontiguousarray(image[top:bottom, left:right])
    self._show_eyes(box, head_at)
    box = cv2.multiply(box, _planes(behind, box), dst=box)
    image[top:bottom, left:right] = cv2.add(box, person, dst=box)
    return image

  def _shade(self, number: int, face_at) -> np.ndarray | None:
    """Factor (h, w) on the light of the head: changed lamps, wrinkles; None: 1."""
    shade = None
    added = self.nuisance.added_light(self._time(number))
    if added.any():
      right, down = self.relight
      shade = 1 + cv2.addWeighted(right, added[0], down, added[1], 0)
    lines = self.intensity(number) * self.lines
    if lines.any():
      at = tuple(v / action_units.STEP for v in face_at)
      dark = 1 - cv2.remap(lines, *at, cv2.INTER_LINEAR)
      shade = dark if shade is None else shade * dark
    return shade

  def _show_eyes(self, box: np.ndarray, head_at) -> None:
    """Puts the eyeballs, which follow the head alone, behind the skin."""
    place = self.studio.placement
    width, height = (place.scale * half for half in _EYE_BOX)
    x, y = (
      place.centre[0] - self.studio.warp.box[2],
      place.centre[1] - self.studio.warp.box[0],
    )
    rows = slice(max(0, int(y - height)), int(y + height))
    columns = slice(max(0, int(x - width)), int(x + width))
    at = tuple(v[rows, columns] for v in head_at)
    box[rows, columns] = cv2.remap(self.studio.portrait.eyes, *at, cv2.INTER_LINEAR)

  def eyes(self, number: int) -> np.ndarray:
    """Where both eyes are in a frame (2, 2), see `Truth`."""
    neutral = self.studio.warp.neutral(self._pose(number))
    return np.stack([self.studio.warp.locate(neutral, side / 2, 0.0) for side in SIDES])

  def truth(self) -> Truth:
    """Motion from the onset to the annotated apex; see `Truth`."""
    warp, clip = self.studio.warp, self.clip
    start, end = (warp.neutral(self._pose(n)) for n in (clip.onset, clip.apex))
    at = (v[::COARSE, ::COARSE] for v in warp.full(start))
    skin = cv2.remap(self.studio.portrait.cover, *at, cv2.INTER_LINEAR)[..., None]
    eyes = (np.abs(start) < _EYE_BOX).all(-1, keepdims=True)
    # Eyes follow the head alone, the room stands still.
    head = warp.flow(start, end)
    first = warp.canvas(start, self._moved(clip.onset))
    both = warp.flow(first, warp.canvas(end, self._moved(clip.apex)))
    total = np.maximum(skin, eyes) * head + skin * (both - head)
    still = warp.canvas(start, self.intensity(clip.apex) * self.field)
    own = skin * warp.flow(start, still)
    scale = CROP_EYES / self.studio.placement.scale
    moving = scale * np.linalg.norm(own, axis=-1) > _MOVING
    half = (COARSE - 1) / 2
    return Truth(
      own[::2, ::2].astype(np.float16),
      total[::2, ::2].astype(np.float16),
      moving[::2, ::2],
      eyes=self.eyes(clip.onset),
      left=warp.box[2] + half,
      top=warp.box[0] + half,
      step=2 * COARSE,
    )


def _ease(t: float) -> float:
  return float(0.5 - 0.5 * np.cos(np.pi * min(max(t, 0.0), 1.0)))


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
