"""Where the flow and the strain of each clip come from: measured here, or an array."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from data_prep.crops import Crops
from data_prep.databases.annotations.clips import Clip
from data_prep.flow_arrays import FlowArray
from infusenet_jax.clips.flow import optical_flow
from infusenet_jax.clips.strain import STRAINS
from infusenet_jax.runtime.errors import UserError

FLOWS = ("infusenet", "tvl1")
FLOW_BATCH = 16  # One shape, so that the flow is compiled once.

# (onsets, apexes), (B, size, size) float32 grey frames in [0, 255] each, to
# (B, size, size, 3) float16: u, v and strain in pixels.
Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]


def make_measure(flow: str, strain: str) -> Measure:
  """How `flow`, one of `FLOWS`, and `strain`, one of `STRAINS`, are measured.

  "infusenet" is this project's flow, "tvl1" that of Zach, Pock and Bischof (2007) as
  scikit-image computes it, which most papers on micro-expressions use.

  Raises:
    UserError: scikit-image is missing.
  """
  if flow == "tvl1":
    _require_skimage()
  measure_flow = jax.jit(optical_flow) if flow == "infusenet" else _tvl1
  measure_strain = STRAINS[strain]

  def measure(onset: np.ndarray, apex: np.ndarray) -> np.ndarray:
    field = jnp.asarray(measure_flow(onset, apex))
    field = jnp.concatenate([field, measure_strain(field)[..., None]], -1)
    return np.asarray(field).astype(np.float16)

  return measure


def _tvl1(onset: np.ndarray, apex: np.ndarray) -> np.ndarray:
  from skimage.registration import optical_flow_tvl1  # An extra.

  pairs = zip(onset / 255, apex / 255, strict=True)
  rows_first = [
    # A pair without any motion is not worth its iterations.
    optical_flow_tvl1(*pair)
    if np.any(pair[0] != pair[1])
    else np.zeros((2, *pair[0].shape))
    for pair in pairs
  ]
  return np.stack([np.stack([u, v], -1) for v, u in rows_first]).astype(np.float32)


def _require_skimage() -> None:
  try:
    import skimage  # noqa: F401
  except ImportError:
    raise UserError(
      "--flow tvl1 needs scikit-image, found none; pip install 'infusenet_jax[tvl1]'"
    ) from None


class MeasuredFlow:
  """Flow of crops of `size` pixels, measured in one way."""

  def __init__(self, measure: Measure, size: int):
    self._measure, self._size = measure, size

  def __call__(self, batch: Sequence[Crops]) -> np.ndarray:
    """(n, size, size, 3) float16 of up to `FLOW_BATCH` clips; the batch is padded."""
    grey = np.zeros((2, FLOW_BATCH, self._size, self._size), np.float32)
    grey[:, : len(batch)] = np.stack([crops.grey for crops in batch], 1)
    return self._measure(*grey)[: len(batch)]

  def notes(self) -> list[str]:
    return []


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
