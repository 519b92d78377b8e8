"""Films one planned clip: the portrait warped, lit and put through the camera."""

import dataclasses
import math
from collections.abc import Iterable

import cv2
import numpy as np

from data_prep.simulator.camera.exposure import EYE_BOX, Exposure
from data_prep.simulator.camera.nuisance import draw_nuisance
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.camera.warp import COARSE, Pose
from data_prep.simulator.plan.population import INTENSITY, PlannedClip, Shown
from data_prep.simulator.portrait import action_units
from data_prep.simulator.portrait.canvas import SIDES, grid
from data_prep.simulator.portrait.relief import relief
from infusenet_jax.clips.faces.alignment import EYES_APART
from infusenet_jax.clips.labels import AUS

CROP_EYES = EYES_APART * 224  # Distance between the pupils in a 224 px crop, pixels.
_MOVING = 0.1  # Pixels in a 224 px crop from which a point counts as moving.
_CHANGED = 0.01  # Share of its light from which a point's appearance counts as changed.


@dataclasses.dataclass(frozen=True)
class Truth:
  """What really moved from onset to the annotated apex, and where the eyes are.

  au_flow and total_flow: (h, w, 2) float16, pixels of the frame, u right, v down;
  sample [i, j] belongs to the frame's pixel (left + j * step, top + i * step), which
  may be a half-pixel. moving: (h, w) bool, where the AUs move a 224 px crop by 0.1 px.
  appearance: (h, w) bool, where skin that bulges and folds reflects at least a
  hundredth of its light more or less; whatever else its motion does is not counted.
  true: (12,) bool, which of the AUs the face shows, whatever coders wrote down.
  eyes: (2, 2) float64, the middles of the sockets in the onset, (x, y) in pixels of the
  frame, the picture's left one first. The pupils stray from them by 1 % of the distance
  between them.
  """

  au_flow: np.ndarray
  total_flow: np.ndarray
  moving: np.ndarray
  appearance: np.ndarray
  true: np.ndarray
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
    self.field, self.light = face_change(clip.shown, studio, INTENSITY[1])
    self.exposure = Exposure(studio, self._pose(clip.onset))

  # -- Motion --------------------------------------------------------------

  def intensity(self, frame: int) -> float:
    """Share of the apex's motion shown in a frame, in [0, 1]: 0 at the onset."""
    clip = self.clip
    if frame <= clip.true_apex:
      t = (frame - clip.onset) / (clip.true_apex - clip.onset)
      return ease(t**self.skew)
    t = (frame - clip.true_apex) / max(clip.offset - clip.true_apex, 1)
    return 1 - (1 - self.rest) * ease(t**self.skew)

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

  # -- Pictures ------------------------------------------------------------

  def frame(self, number: int) -> np.ndarray:
    """A frame (H, W) or (H, W, 3) uint8, colours in OpenCV's order, BGR."""
    return self.exposure.picture(
      self.nuisance,
      self._time(number),
      self._pose(number),
      self._moved(number),
      self.intensity(number) * self.light,
      np.random.default_rng((*self.clip.seed, 6, number)),
    )

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
    eyes = (np.abs(start) < EYE_BOX).all(-1, keepdims=True)
    # Eyes follow the head alone, the room stands still.
    head = warp.flow(start, end)
    first = warp.canvas(start, self._moved(clip.onset))
    both = warp.flow(first, warp.canvas(end, self._moved(clip.apex)))
    total = np.maximum(skin, eyes) * head + skin * (both - head)
    still = warp.canvas(start, self.intensity(clip.apex) * self.field)
    own = skin * warp.flow(start, still)
    scale = CROP_EYES / self.studio.placement.scale
    moving = scale * np.linalg.norm(own, axis=-1) > _MOVING
    light = warp.on_skin(start, self.intensity(clip.apex) * self.light)
    changed = skin[..., 0] * np.abs(light) > _CHANGED
    half = (COARSE - 1) / 2
    return Truth(
      own[::2, ::2].astype(np.float16),
      total[::2, ::2].astype(np.float16),
      moving[::2, ::2],
      changed[::2, ::2],
      true=np.isin(AUS, clip.true),
      eyes=self.eyes(clip.onset),
      left=warp.box[2] + half,
      top=warp.box[0] + half,
      step=2 * COARSE,
    )


def face_change(
  shown: Iterable[Shown], studio: Studio, most: float
) -> tuple[np.ndarray, np.ndarray]:
  """At the apex: displacement (h, w, 2), relative change of light by relief (h, w).

  On the grid of `action_units`, displacement in distances between the pupils; its
  largest length is cut to `most` pixels of a 224 px crop, and relief with it.
  """
  x, _ = grid(action_units.STEP)
  field, raised = np.zeros((*x.shape, 2), np.float32), np.zeros(x.shape, np.float32)
  for au in shown:
    for side, peak in ((-1, au.left), (1, au.right)):
      if peak:
        size = peak / CROP_EYES
        field += size * action_units.displacement(au.au, studio.identity, side)
        raised += size * relief(au.au, studio.identity, side)
  longest = CROP_EYES * np.linalg.norm(field, axis=-1).max()
  cut = min(1.0, most / longest) if longest else 1.0
  return cut * field, studio.portrait.light_on(cut * raised)


def ease(t: float) -> float:
  """Half a wave from 0 at 0 to 1 at 1."""
  return float(0.5 - 0.5 * np.cos(np.pi * min(max(t, 0.0), 1.0)))
