"""Frames of noise, and what a `MagnifiedInput` makes of them, compiled."""

import jax
from flax import nnx

see = nnx.jit(
  lambda magnifier, sees, *frames: sees(magnifier, *frames), static_argnums=1
)


def frames(number: int = 3, count: int = 2, size: int = 32) -> jax.Array:
  """Onset, apex and window apex of `count` clips; with `number` 4 the offset, too."""
  return jax.random.uniform(
    jax.random.key(0), (number, count, size, size, 3), minval=-1.0, maxval=1.0
  )
