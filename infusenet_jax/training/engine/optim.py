"""The optimiser, the falling learning rate and the random mirroring of faces."""

import jax
import jax.numpy as jnp
import optax

from infusenet_jax.clips.schema import frames_held
from infusenet_jax.models.magnified_input import MagnifiedInput

SCHEDULES = ("constant", "cosine")


def make_optimizer(learning_rate: float, l2: float) -> optax.GradientTransformation:
  """Makes Adam with the L2 penalty added to the gradient, as in the CD6ME benchmark."""
  return optax.chain(optax.add_decayed_weights(l2), optax.adam(learning_rate))


def cosine(step: jax.Array, steps: jax.Array) -> jax.Array:
  """Computes (1 + cos(pi step / steps)) / 2, the factor on the learning rate.

  It falls from 1 at the first step to 0 after the last (Loshchilov, Hutter: "SGDR",
  2017, without restarts). `steps` is an argument, not a constant of a schedule of the
  optimiser, since it may differ between folds that share a compiled step.
  """
  return (1 + jnp.cos(jnp.pi * jnp.minimum(step / steps, 1))) / 2


def mirror_faces(
  key: jax.Array,
  batch: dict[str, jax.Array],
  magnified: MagnifiedInput | None = None,
) -> dict[str, jax.Array]:
  """Mirrors each clip of a batch left to right with probability one half.

  The 12 AUs are the same in a mirror. Horizontal flow u changes its sign: scaled to
  [0, 1] it becomes 1 - u, and stays 0 where u was constant. What was computed of the
  frames once and kept is mirrored by `MagnifiedInput.mirrored`.

  Args:
    key: random key of the step.
    batch: `flow` (B, H, W, 3), and any of `latents` and the frames, (B, h, w, C).
    magnified: what `latents` are.
  """
  chosen = jax.random.bernoulli(key, shape=(len(batch["flow"]), 1, 1, 1))

  def mirrored(name, x):
    if name == "latents":
      return jnp.where(chosen, magnified.mirrored(x), x)
    other = jnp.flip(x, axis=2)
    if name == "flow":
      u = other[..., 0]
      varies = u.max((1, 2), keepdims=True) > u.min((1, 2), keepdims=True)
      u = jnp.where(varies, 1 - u, u)
      # `.at[].set` would compile to a scatter, which accelerators run serially.
      other = jnp.concatenate([u[..., None], other[..., 1:]], axis=-1)
    return jnp.where(chosen, other, x)

  seen = {"flow", "latents", *frames_held(offset=True)}
  return {name: mirrored(name, x) if name in seen else x for name, x in batch.items()}
