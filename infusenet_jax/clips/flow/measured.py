"""Flow and strain between onset and apex, measured as records hold them."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

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
