"""Makes the magnifier that pretraining starts from."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from infusenet_jax.models.magnifier import Magnifier


def eulerian_magnifier(seed: int) -> Magnifier:
  """Makes a magnifier that roughly does linear Eulerian magnification (Wu et al. 2012).

  The encoder passes on the four pixels of each 2 x 2 block, their colours split into
  positive and negative parts (24 of 32 channels); the manipulator returns half of
  (amp - 1) (b - a); the decoder interpolates and sharpens; residual blocks are the
  identity. All other weights are small random numbers. A network drawn at random would
  need its first thousand steps to get there.
  """
  magnifier = Magnifier(rngs=nnx.Rngs(seed))
  split = np.zeros((3, 3, 16, 32))
  signed = np.zeros((32, 32))
  merge = np.zeros((3, 3, 32, 32))
  parts = np.concatenate([np.eye(3), -np.eye(3)], 1)  # +R, +G, +B, -R, -G, -B
  interpolation = np.array([[0, 0.5, 0.5], [0.5, 0.5, 0]])  # of even, odd pixels
  for block, (row, column) in enumerate(np.ndindex(2, 2)):
    channels = slice(6 * block, 6 * block + 6)
    split[1 + row, 1 + column, :6, channels] = np.eye(6)
    signed[channels, channels] = parts.T @ parts
    taps = np.outer(interpolation[row], interpolation[column]) / 4
    merge[:, :, channels, :6] = taps[..., None, None] * (parts.T @ parts)
  blur = np.outer([1, 2, 1], [1, 2, 1]) / 16
  sharpen = np.pad(-blur, 2)
  sharpen[3, 3] += 2

  encoder, manipulator, decoder = (
    magnifier.encoder,
    magnifier.manipulator,
    magnifier.decoder,
  )
  _begin(encoder.conv1, _centre(np.pad(parts, ((0, 0), (0, 10))), 7))
  _begin(encoder.conv2, split)
  passed = np.diag(np.arange(32) < 24)
  _begin(encoder.conv1_shape, _centre(passed, 3))
  _begin(manipulator.before, _centre(signed, 7))
  _begin(manipulator.after, _centre(0.5 * passed, 3))
  _begin(decoder.conv1, merge)
  joined = np.pad(parts.T, ((0, 26), (0, 0)))
  _begin(decoder.conv2, sharpen[..., None, None] * joined)
  for path, kernel in nnx.iter_graph(magnifier):
    if isinstance(kernel, nnx.Param) and path[-2] == "conv2" and "layers" in path:
      kernel[...] = jnp.zeros_like(kernel[...])
  return magnifier


def _centre(matrix: np.ndarray, size: int) -> np.ndarray:
  """Makes the size x size kernel that applies `matrix` (in, out) to each pixel."""
  kernel = np.zeros((size, size, *matrix.shape))
  kernel[size // 2, size // 2] = matrix
  return kernel


def _begin(conv: nnx.Conv, kernel: np.ndarray) -> None:
  conv.kernel[...] = 0.1 * conv.kernel[...] + jnp.asarray(kernel, jnp.float32)
