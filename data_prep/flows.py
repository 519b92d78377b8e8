"""Where the flow and the strain of each clip come from: measured here, or an array."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from data_prep.crops import Crops, encode
from data_prep.databases.annotations.clips import Clip
from data_prep.flow_arrays import FlowArray
from infusenet_jax.clips.flow.measured import (
  Measure,
  measure_batch,
  steady_batch,
)
from infusenet_jax.clips.schema import OFFSET, frames_held


class MeasuredFlow:
  """Flow of crops, measured in one way."""

  def __init__(self, measure: Measure, strain: str):
    self._measure, self._strain = measure, strain

  def __call__(self, batch: Sequence[Crops]) -> np.ndarray:
    """(n, size, size, 3) float16 of up to `FLOW_BATCH` clips."""
    return measure_batch(self._measure, [crops.grey for crops in batch])

  def steady(self, batch: Sequence[Crops]) -> list[tuple[Crops, np.ndarray]]:
    """Takes the head's own motion out of crops and flow of up to `FLOW_BATCH` clips.

    Apex, window apex and, where it is there, the offset show the head where it was at
    the onset. The window apex stays the frame that was chosen with the head's motion.
    """
    names = frames_held(OFFSET in batch[0].pngs)
    frames = [[_decoded(crops.pngs[name]) for name in names] for crops in batch]
    steadied = steady_batch(self._measure, self._strain, frames)

    def encoded(later: Sequence[np.ndarray]) -> dict[str, bytes]:
      return {n: encode(crop) for n, crop in zip(names[1:], later, strict=True)}

    return [
      (dataclasses.replace(crops, pngs=crops.pngs | encoded(found.crops)), found.flow)
      for crops, found in zip(batch, steadied, strict=True)
    ]

  def notes(self) -> list[str]:
    return []


def _decoded(png: bytes) -> np.ndarray:
  return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


class ArrayFlow:
  """Flow from a licensee's array; some is measured beside it, to check its order."""

  def __init__(
    self, array: FlowArray, clips: Sequence[Clip], measured: MeasuredFlow, size: int
  ):
    self._array, self._measured, self._size = array, measured, size
    self._compared = set(array.compared(clips))
    self._pairs = []

  def __call__(self, batch: Sequence[Crops]) -> list[np.ndarray]:
    """The flow of each clip, (size, size, 3) float16."""
    if chosen := [crops for crops in batch if crops.keys.clip in self._compared]:
      clips = [crops.keys.clip for crops in chosen]
      self._pairs += zip(clips, self._measured(chosen), strict=True)
    return [self._array.flow(crops.keys.clip, self._size) for crops in batch]

  def notes(self) -> list[str]:
    """What is known of the order, when all clips are through.

    Raises:
      UserError: the array's rows are not in it.
    """
    return [self._array.order, self._array.check_order(self._pairs)]
