"""Following a face. Stands in for what the lead merges here."""

from collections.abc import Iterable

import cv2
import numpy as np

from infusenet_jax.clips.faces import FaceDetector
from infusenet_jax.predict.findings import REGIONS, Frames
from infusenet_jax.predict.video import Frame

EVERY = 5


def follow(frames: Iterable[Frame], face: int = 0) -> tuple[Frames, int]:
  """Looks for a face in every fifth frame, and takes it to stay until the next."""
  detector, rows, found, most = FaceDetector(), [], None, 0
  for place, frame in enumerate(frames):
    if place % EVERY == 0:
      faces = detector.find(cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
      most = max(most, len(faces))
      found = faces[face] if face < len(faces) else None
    rows.append((frame.number, frame.seconds, found))
  nan = float("nan")
  found = Frames(
    number=np.array([number for number, *_ in rows], np.int64),
    seconds=np.array([seconds for _, seconds, _ in rows], float),
    success=np.array([f is not None for *_, f in rows], bool),
    confidence=np.array([f.confidence if f else nan for *_, f in rows]),
    box=np.array([f.box if f else [nan] * 4 for *_, f in rows]).reshape(-1, 4),
    eyes=np.array([f.eyes if f else [[nan] * 2] * 2 for *_, f in rows]).reshape(
      -1, 2, 2
    ),
    motion=np.array([[0.0 if f else nan] * len(REGIONS) for *_, f in rows]).reshape(
      -1, len(REGIONS)
    ),
  )
  return found, most
