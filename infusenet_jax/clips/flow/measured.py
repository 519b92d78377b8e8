"""Flow and strain between onset and apex, measured as records hold them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from infusenet_jax.clips.flow.head import (
  crop_without_head,
  flow_without_head,
  head_motion,
)
from infusenet_jax.clips.flow.optical_flow import optical_flow
from infusenet_jax.clips.flow.strain import STRAINS
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


def measure_batch(measure: Measure, pairs: Sequence[np.ndarray]) -> np.ndarray:
  """(n, size, size, 3) float16 of up to `FLOW_BATCH` pairs; the batch is padded.

  Args:
    measure: of `make_measure`.
    pairs: grey onset and apex, (2, size, size) float32 in [0, 255] each.
  """
  grey = np.zeros((2, FLOW_BATCH, *pairs[0].shape[1:]), np.float32)
  grey[:, : len(pairs)] = np.stack(pairs, 1)
  return measure(*grey)[: len(pairs)]


@dataclass(frozen=True)
class Steadied:
  """A clip without the head's own motion since its onset.

  Attributes:
    flow: (size, size, 3) float16 from the onset to the first of `crops`.
    crops: the later crops, with the head where it was at the onset.
    head: (size, size, 2) float32, how it had moved in the first of them, pixels.
  """

  flow: np.ndarray
  crops: list[np.ndarray]
  head: np.ndarray


def steady_batch(
  measure: Measure, strain: str, clips: Sequence[Sequence[np.ndarray]]
) -> list[Steadied]:
  """Measures clips and takes the head's own motion out of flow, strain and crops.

  Args:
    measure, strain: of `make_measure`, and its strain.
    clips: up to `FLOW_BATCH`, of each the onset and as many later crops, (size, size,
      3) uint8, blue-green-red, under one alignment.
  """
  onsets, *later = zip(*clips, strict=True)
  fields = [
    measure_batch(measure, [np.stack([luma(a), luma(b)]) for a, b in pairs])
    for pairs in (list(zip(onsets, crops, strict=True)) for crops in later)
  ]
  steadied = []
  for crops, own in zip(
    zip(*later, strict=True), zip(*fields, strict=True), strict=True
  ):
    flows = [field[..., :2].astype(np.float32) for field in own]
    heads = [head_motion(flow) for flow in flows]
    rest = flow_without_head(flows[0], heads[0])
    change = np.asarray(STRAINS[strain](rest))[..., None]
    steadied.append(
      Steadied(
        flow=np.concatenate([rest, change], -1).astype(np.float16),
        crops=[crop_without_head(c, h) for c, h in zip(crops, heads, strict=True)],
        head=heads[0],
      )
    )
  return steadied


def luma(image: np.ndarray) -> np.ndarray:
  """Grey (H, W) float32 in [0, 255] of a frame (H, W, 3) uint8, blue-green-red.

  Rounding it to 8 bits would add noise to a sub-pixel motion.
  """
  return image.astype(np.float32) @ np.array([0.114, 0.587, 0.299], np.float32)


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
