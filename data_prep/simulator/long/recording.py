"""Films a story: one portrait, moved, turned and lit as its events say."""

import dataclasses

import cv2
import numpy as np

from data_prep.simulator.camera.exposure import Exposure
from data_prep.simulator.camera.film import CROP_EYES, ease, face_change
from data_prep.simulator.camera.nuisance import draw_nuisance
from data_prep.simulator.camera.sensor import CAMERAS
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.camera.warp import Pose
from data_prep.simulator.long.story import Event, Story
from data_prep.simulator.plan.population import INTENSITY
from data_prep.simulator.portrait import action_units
from data_prep.simulator.portrait.canvas import SIDES, grid

_EYES = 0.205  # Distance between the pupils, in heights of the frame: CASME's.
_MOST = 9.0  # Largest motion of a larger expression, pixels of a 224 px crop.
# Of speech, AUs and how far each goes: the jaw (the chin and the lower lip, down), lips
# apart, pucker, corners out. Waves of 2 to 6 Hz.
_SPOKEN = ((17, -1.0), (24, -0.6), (18, 0.5), (20, 0.4))
_HERTZ = (2.0, 6.0)


class Recording:
  """One story before its camera: `frame(n)` for any of its frames."""

  def __init__(self, story: Story, size: tuple[int, int], nuisance: float):
    """`size` is (width, height) of the frames; `nuisance` a strength, 1 is normal."""
    self.story = story
    width, height = size
    camera = dataclasses.replace(
      CAMERAS[story.database],
      width=width,
      height=height,
      scale=1.0,
      eyes=_EYES * height,
    )
    self.studio = Studio(story.database, 1000 + story.number, story.seed[0], camera)
    rng = np.random.default_rng((*story.seed, 21))
    drawn = draw_nuisance(rng, camera, nuisance)
    drift = drawn.light
    self.nuisance = dataclasses.replace(
      drawn, light=lambda t: drift(t) + self._lamps(t)
    )
    sit = rng.normal(0, 1, 6) * (0.02, 0.02, 0.004, 0.012, 0.02, 0.02)
    self.sitting = Pose(*sit.tolist())
    self.waves = (
      rng.uniform(*_HERTZ, (len(_SPOKEN), 3)),
      rng.uniform(0, 2 * np.pi, (len(_SPOKEN), 3)),
    )
    self.lid = self._field([(45, 1.0)])
    self.spoken = [self._field([part]) for part in _SPOKEN]
    self.still = np.zeros(grid(action_units.STEP)[0].shape, np.float32)
    self.changes: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    self.exposure = Exposure(self.studio, self.sitting)

  def _field(self, parts) -> np.ndarray:
    """Displacement (h, w, 2) by AUs on both sides, for a pixel of a 224 px crop."""
    return sum(
      amount / CROP_EYES * action_units.displacement(au, self.studio.identity, side)
      for au, amount in parts
      for side in SIDES
    )

  def frame(self, number: int) -> np.ndarray:
    """A frame (H, W, 3) uint8, red-green-blue."""
    time = number / self.story.fps
    moved, relief = self._face(time)
    picture = self.exposure.picture(
      self.nuisance,
      time,
      self._pose(time),
      moved,
      relief,
      np.random.default_rng((*self.story.seed, 22, number)),
    )
    if picture.ndim == 2:
      return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

  def _now(self, time: float, *kinds: str) -> list[Event]:
    return [
      e for e in self.story.events if e.kind in kinds and e.start <= time <= e.end
    ]

  def _face(self, time: float) -> tuple[np.ndarray | None, np.ndarray]:
    """Displacement (h, w, 2), or None, and light by relief (h, w) at a moment."""
    field, light = [], self.still
    for event in self._now(time, "micro", "macro", "blink", "speech"):
      if event.kind == "blink":
        field.append(event.amount[0] * _bump(event, time) * self.lid)
      elif event.kind == "speech":
        field += self._speech(event, time)
      else:
        shape, relief = self._change(event)
        share = _bump(event, time) if event.kind == "micro" else _held(event, time)
        field.append(share * shape)
        light = light + share * relief
    return (sum(field) if field else None), light

  def _change(self, event: Event) -> tuple[np.ndarray, np.ndarray]:
    """What an expression does to the face at its apex; drawn once."""
    place = self.story.events.index(event)
    if place not in self.changes:
      most = INTENSITY[1] if event.kind == "micro" else _MOST
      self.changes[place] = face_change(event.shown, self.studio, most)
    return self.changes[place]

  def _speech(self, event: Event, time: float) -> list[np.ndarray]:
    hertz, phases = self.waves
    waves = np.sin(2 * np.pi * hertz * time + phases).mean(1) * 1.5
    # The jaw opens from closed; the lips go both ways.
    waves[0] = abs(waves[0])
    waves *= event.amount[0] * _held(event, time)
    return [w * f for w, f in zip(waves.tolist(), self.spoken, strict=True)]

  def _pose(self, time: float) -> Pose:
    pose = self.sitting
    if self.story.kind != "still":
      pose = pose + self.nuisance.pose(time)
    for event in self._now(time, "turn"):
      share = _held(event, time)
      pose = pose + Pose(*(share * v for v in event.amount))
    return pose

  def _lamps(self, time: float) -> np.ndarray:
    """Relative change (3,) of the light by events: gain, from the right, from below."""
    change = np.zeros(3)
    for event in self._now(time, "light"):
      change += _held(event, time, 0.15) * np.array(event.amount)
    return change


def _bump(event: Event, time: float) -> float:
  """Up to 1 at the apex and down again."""
  if time <= event.apex:
    return ease((time - event.start) / (event.apex - event.start))
  return ease((event.end - time) / (event.end - event.apex))


def _held(event: Event, time: float, rise: float = 0.35) -> float:
  """Up to 1 in a share `rise` of its length, held, and down in the same."""
  length = rise * (event.end - event.start)
  return min(ease((time - event.start) / length), ease((event.end - time) / length))
