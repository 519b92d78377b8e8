"""From an interval's frames to its action units, by the path that records take.

One alignment from the onset serves all frames of an interval: crops of the size that
the networks' records have, flow from onset to apex, window apex, as `data_prep build`
makes them. So a clip gets the same probabilities here and there.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from tqdm import tqdm

from infusenet_jax.clips.faces.alignment import EYES_APART, Alignment, Face, warp
from infusenet_jax.clips.faces.detector import FaceDetector, align_face
from infusenet_jax.clips.flow.head import head_motion
from infusenet_jax.clips.flow.measured import (
  FLOW_BATCH,
  FLOWS,
  Measure,
  luma,
  make_measure,
  measure_batch,
  steady_batch,
)
from infusenet_jax.clips.flow.strain import STRAINS
from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.schema import OFFSET, frames_held
from infusenet_jax.clips.window import SECONDS as WINDOW
from infusenet_jax.clips.window import WindowApex
from infusenet_jax.predict.findings import SHOWN, Frames, Interval, Pictures, Spot
from infusenet_jax.predict.watch.video import Footage, Frame
from infusenet_jax.predict.weights.networks import Networks

ROUNDING = 1.01e-3  # Seconds between two time stamps that were rounded to milliseconds.
PICTURE = 224  # Side of the pictures of an interval, pixels.
EXPRESSION_SECONDS = 0.2  # What a short micro-expression lasts,
LEAST_FRAMES = 10  # and in how many frames it should be seen.
# Beyond these an interval is doubtful.
MOST_HEAD = 10.0  # The head's motion, % of the distance between the eyes.
MOST_LIGHT = 5.0  # Change of the face's brightness, % of it.

_REGION = 0.1  # Side of a region whose mean motion counts, in sides of the crop.
_ROWS, _COLUMNS = (0.15, 0.95), (0.12, 0.88)  # Of the crop, where the face is.


@dataclass
class _Clip:
  """An interval on its way through the networks."""

  spot: Spot
  numbers: tuple[int, int, int]  # Frames of onset, apex and offset.
  candidates: frozenset[int]  # For the window apex.
  size: int  # Of the crops.
  eyes: np.ndarray  # (2, 2) where the face was followed to at the onset, or NaN.
  sees_offset: bool  # Whether the networks look at the offset.
  notes: list[str] = field(default_factory=list)
  alignment: Alignment | None = None
  onset: np.ndarray | None = None  # Crops, blue-green-red.
  apex: np.ndarray | None = None
  window: WindowApex | None = None
  offset: np.ndarray | None = None  # For networks that look at it.
  flow: np.ndarray | None = None  # (size, size, 3) float16: u, v, strain.
  head: np.ndarray | None = None  # (size, size, 2) its own motion, pixels.
  probability: np.ndarray = field(default_factory=lambda: np.full(len(AUS), np.nan))
  pictures: tuple[np.ndarray, np.ndarray] | tuple[()] = ()

  @property
  def wanted(self) -> set[int]:
    return {*self.numbers[: 2 + self.sees_offset], *self.candidates}

  @property
  def is_complete(self) -> bool:
    return self.onset is not None and self.apex is not None

  def look(self, frame: Frame, detector: FaceDetector, pictured: bool) -> None:
    """Takes from a frame what is needed; the onset comes before all others."""
    image = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
    if frame.number == self.numbers[0]:
      self._align(image, detector)
    if self.alignment is None:
      return
    crop = warp(image, self.alignment.matrix, self.size)
    if frame.number == self.numbers[0]:
      self.onset = crop
      self.window = WindowApex(crop, self.numbers[1], None)
    if frame.number == self.numbers[1]:
      self.apex = crop
    if self.sees_offset and frame.number == self.numbers[2] > self.numbers[1]:
      self.offset = crop
    if frame.number in self.candidates:
      self.window.offer(frame.number, crop)
    if pictured and frame.number in self.numbers[:2]:
      large = align_face(self.alignment.face, PICTURE)
      self.pictures += (warp(frame.image, large.matrix, PICTURE),)
      if self.numbers[0] == self.numbers[1]:
        self.pictures *= 2

  def require_offset(self) -> None:
    """Puts the onset in the place of an offset that is not there after the apex."""
    if self.sees_offset and self.offset is None:
      self.offset = self.onset
      self.notes.append("no offset after the apex: the onset stands in for it")

  def _align(self, image: np.ndarray, detector: FaceDetector) -> None:
    face = _nearest(detector.find(image), self.eyes)
    if face is None:
      self.notes.append("no face at the onset")
      return
    try:
      self.alignment = align_face(face, self.size)
    except ValueError:
      self.notes.append(f"face too small: {face.side:.0f} px high")
      return
    if face.eye_distance < EYES_APART * self.size:
      self.notes.append(
        f"face small: eyes {face.eye_distance:.0f} px apart, enlarged to"
        f" {EYES_APART * self.size:.0f}"
      )

  @property
  def window_apex(self) -> np.ndarray:
    return self.apex if self.window.crop is None else self.window.crop


def describe(
  footage: Footage,
  frames: Frames,
  spots: Sequence[Spot],
  networks: Networks,
  *,
  pictured: bool = True,
  amp: float = 10.0,
  progress: bool = False,
) -> list[Interval]:
  """The action units of each spotted interval, in the order given.

  Args:
    footage: the frames, read once more as far as intervals need them.
    frames: what is known of all of them.
    spots: the intervals; blinks among them get no probabilities and no pictures.
    networks: what gives the probabilities.
    pictured: whether intervals keep their pictures.
    amp: how many times motion is magnified in them.
    progress: whether what takes long shows how long.
  """
  clips = [
    _clip(spot, frames, networks.record_size, OFFSET in networks.needs)
    for spot in spots
    if spot.kind != "blink"
  ]
  _look(footage, clips, pictured, progress)
  complete = [clip for clip in clips if clip.is_complete]
  for clip in complete:
    clip.require_offset()
  made = networks.made
  # Of a licensee's arrays nobody can measure more; the networks' card says it.
  flow, strain = (
    made.flow if made.flow in FLOWS else FLOWS[0],
    made.strain if made.strain in STRAINS else "textbook",
  )
  measure = make_measure(flow, strain)
  for batch in _batches(complete):
    if made.head == "removed":
      _steady(batch, measure, strain)
      continue
    pairs = [np.stack([luma(clip.onset), luma(clip.apex)]) for clip in batch]
    for clip, flow in zip(batch, measure_batch(measure, pairs), strict=True):
      clip.flow = flow
  for clip, probability in zip(complete, _ask(networks, complete), strict=True):
    clip.probability = np.asarray(probability, np.float64)
  bar = tqdm(
    clips, desc="drawing intervals", delay=3, disable=not progress, leave=False
  )
  described = iter([_interval(clip, frames, networks, amp) for clip in bar])
  return [
    _blink(spot, frames) if spot.kind == "blink" else next(described) for spot in spots
  ]


def _steady(clips: Sequence[_Clip], measure: Measure, strain: str) -> None:
  """Measures clips without the head's own motion, as networks' records have them."""
  frames = [
    (clip.onset, clip.apex, clip.window_apex, *[clip.offset] * clip.sees_offset)
    for clip in clips
  ]
  for clip, found in zip(clips, steady_batch(measure, strain, frames), strict=True):
    clip.flow, clip.head = found.flow, found.head
    clip.apex, clip.window.crop, *offset = found.crops
    clip.offset = offset[0] if offset else None


def _clip(spot: Spot, frames: Frames, size: int, sees_offset: bool) -> _Clip:
  onset, apex, offset = (
    int(frames.number[i]) for i in (spot.onset, spot.apex, spot.offset)
  )
  near = np.abs(frames.seconds - frames.seconds[spot.apex]) <= WINDOW + ROUNDING
  candidates = frozenset(frames.number[near & (frames.number >= onset)]) - {apex}
  numbers, eyes = (onset, apex, offset), frames.eyes[spot.onset]
  clip = _Clip(spot, numbers, candidates, size, eyes, sees_offset)
  edges = [spot.onset == 0, spot.offset == len(frames) - 1]
  for is_there, what in zip(edges, ("begins", "ends"), strict=True):
    if is_there:
      clip.notes.append(f"{what} at the video's edge")
  if frames.fps * EXPRESSION_SECONDS < LEAST_FRAMES:
    clip.notes.append(f"low frame rate: {frames.fps:.3g} a second")
  if not frames.success[spot.onset : spot.offset + 1].all():
    clip.notes.append("the face is lost in between")
  return clip


def _look(
  footage: Footage, clips: Sequence[_Clip], pictured: bool, progress: bool
) -> None:
  """Gives every clip its frames, in one pass."""
  wanting = defaultdict(list)
  for clip in clips:
    for number in clip.wanted:
      wanting[number].append(clip)
  if not wanting:
    return
  detector = FaceDetector()
  found = footage.read(wanting.keys())
  about = {"desc": f"looking at {len(clips)} intervals", "unit": "frame", "delay": 3}
  for frame in tqdm(
    found, total=len(wanting), disable=not progress, leave=False, **about
  ):
    for clip in wanting[frame.number]:
      clip.look(frame, detector, pictured)


def _nearest(faces: Sequence[Face], eyes: np.ndarray) -> Face | None:
  """The face that was followed; the largest where it is not known where that is."""
  if not np.isfinite(eyes).all():
    return None
  away = [np.linalg.norm(face.eyes.mean(0) - eyes.mean(0)) for face in faces]
  best = int(np.argmin(away)) if away else 0
  return faces[best] if away and away[best] < faces[best].eye_distance else None


def _batches(clips: Sequence[_Clip]) -> Iterator[Sequence[_Clip]]:
  for start in range(0, len(clips), FLOW_BATCH):
    yield clips[start : start + FLOW_BATCH]


def _ask(networks: Networks, clips: Sequence[_Clip]) -> np.ndarray:
  """Probabilities (N, 12)."""
  if not clips:
    return np.empty((0, len(AUS)))
  return networks.probabilities(*_inputs(clips))


def _inputs(clips: Sequence[_Clip]) -> tuple[np.ndarray, ...]:
  """Onsets and apexes (N, S, S, 3) uint8 RGB, flow (N, S, S, 3), and further frames.

  Those are the window apexes and, for networks that look at them, the offsets.
  """
  onset, apex, *others = (
    np.ascontiguousarray(np.stack([getattr(c, name) for c in clips])[..., ::-1])
    for name in frames_held(clips[0].sees_offset)
  )
  return onset, apex, np.stack([clip.flow for clip in clips]), *others


def _interval(clip: _Clip, frames: Frames, networks: Networks, amp: float) -> Interval:
  notes = clip.notes
  px = percent = float("nan")
  if clip.is_complete:
    loose = clip.flow[..., :2].astype(np.float32)
    if clip.head is None:  # It is still in the flow.
      clip.head = head_motion(loose)
      loose = loose - clip.head
    in_crop = _largest_region(loose)
    head = float(np.median(np.linalg.norm(clip.head, axis=-1)))
    percent = 100 * in_crop / (EYES_APART * clip.size)
    px = percent / 100 * clip.alignment.face.eye_distance
    head_percent = 100 * head / (EYES_APART * clip.size)
    if head_percent > MOST_HEAD:
      notes.append(f"the head moved by {head_percent:.0f} % of the eyes' distance")
    light = 100 * (float(clip.apex.mean()) / max(float(clip.onset.mean()), 1) - 1)
    if abs(light) > MOST_LIGHT:
      notes.append(f"the light changed by {light:+.0f} %")
  return Interval(
    **_when(clip.spot, frames),
    probability=clip.probability,
    decision=clip.probability > SHOWN,
    motion_px=px,
    motion_percent=percent,
    notes=tuple(notes),
    pictures=_pictures(clip, networks, amp),
  )


def _blink(spot: Spot, frames: Frames) -> Interval:
  left, right = frames.eyes[spot.onset]
  return Interval(
    **_when(spot, frames),
    probability=np.full(len(AUS), np.nan),
    decision=np.zeros(len(AUS), bool),
    motion_px=spot.score / 100 * float(np.linalg.norm(right - left)),
    motion_percent=spot.score,
  )


def _when(spot: Spot, frames: Frames) -> dict:
  """The fields of an interval that say what it is and when."""
  found = {"kind": spot.kind}
  for name in ("onset", "apex", "offset"):
    row = getattr(spot, name)
    found[name] = int(frames.number[row])
    found[f"{name}_seconds"] = float(frames.seconds[row])
  return found


def _largest_region(flow: np.ndarray) -> float:
  """The longest mean motion of a region of the face, pixels of the crop."""
  size = len(flow)
  side = max(1, round(_REGION * size))
  mean = cv2.blur(np.ascontiguousarray(flow), (side, side))
  rows, columns = (slice(*(round(end * size) for end in e)) for e in (_ROWS, _COLUMNS))
  return float(np.linalg.norm(mean[rows, columns], axis=-1).max())


def _pictures(clip: _Clip, networks: Networks, amp: float) -> Pictures | None:
  if not clip.is_complete or len(clip.pictures) < 2:
    return None
  onset, apex = clip.pictures
  flow = clip.flow[..., :2].astype(np.float32)
  flow = cv2.resize(flow, (PICTURE, PICTURE)) * (PICTURE / clip.size)
  looked = networks.looked(*_inputs([clip]))
  if looked is not None:
    looked = cv2.resize(np.asarray(looked[0], np.float32), (PICTURE, PICTURE))
  magnified = networks.magnified(onset[None], apex[None], amp)[0]
  return Pictures(onset, apex, np.asarray(magnified), amp, flow, looked)
