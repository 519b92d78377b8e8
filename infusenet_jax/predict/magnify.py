"""Motion magnification of frames in memory, by the magnifier that ships."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.models.weights import load_magnifier


def magnify(frames: Sequence[np.ndarray] | np.ndarray, amp: float = 10.0) -> np.ndarray:
  """Frames whose motion since the first one is magnified.

      larger = magnify([onset, apex], amp=10)[1]

  Compiled once per size of the frames. After Oh et al. (ECCV 2018), with weights that
  were trained for this project; docs/magnifier.md says how well they do.

  Args:
    frames: (T, H, W, 3) uint8, RGB, at least 16 pixels a side.
    amp: how many times; 1 changes nothing but for the network's own error.

  Returns:
    (T, H, W, 3) uint8; the first frame goes through the network as well.

  Raises:
    ValueError: the frames are not of that kind, or amp is below 1.
  """
  frames = np.asarray(frames)
  if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
    raise ValueError(
      f"frames are {frames.dtype} {frames.shape}, expected uint8 (T, H, W, 3)"
    )
  if min(frames.shape[1:3]) < 16 or not len(frames):
    raise ValueError(f"frames are {frames.shape}, expected 16 pixels a side or more")
  if not amp >= 1:
    raise ValueError(f"amp is {amp}, expected a factor of 1 or more")
  height, width = frames.shape[1:3]
  # The networks halve and double the sides.
  even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
  run = _compiled()
  larger = [
    np.asarray(run(even[:1], frame[None], np.float32(amp)))[0] for frame in even
  ]
  return np.stack(larger)[:, :height, :width]


@functools.cache
def _compiled() -> Callable[[np.ndarray, np.ndarray, np.float32], jax.Array]:
  magnifier = Magnifier(rngs=nnx.Rngs(0))
  load_magnifier(magnifier, "pretrained")
  graph, weights = nnx.split(magnifier)

  @jax.jit
  def run(weights, first, second, amp):
    scaled = (x.astype(jnp.float32) / 127.5 - 1 for x in (first, second))
    larger = nnx.merge(graph, weights)(*scaled, amp)
    return jnp.clip(jnp.round((larger + 1) * 127.5), 0, 255).astype(jnp.uint8)

  return functools.partial(run, weights)
