"""How the networks are trained: optimiser, falling learning rate, mirrored faces."""

import jax
import jax.numpy as jnp
import optax

from infusenet_jax.clips.schema import FRAMES

SCHEDULES = ("constant", "cosine")


def make_optimizer(learning_rate: float, l2: float) -> optax.GradientTransformation:
  """Adam with the L2 penalty added to the gradient, as the CD6ME benchmark trains."""
  return optax.chain(optax.add_decayed_weights(l2), optax.adam(learning_rate))


def cosine(step: jax.Array, steps: jax.Array) -> jax.Array:
  """(1 + cos(pi step / steps)) / 2: from 1 at the first of `steps` to 0 after the last.

  Loshchilov, Hutter: "SGDR" (2017), without restarts. `steps` may differ between folds
  that share a compiled step, so it is not a constant of the optimiser's schedule.
  """
  return (1 + jnp.cos(jnp.pi * jnp.minimum(step / steps, 1))) / 2


def mirror_faces(key: jax.Array, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
  """Mirrors each clip of a batch left to right with probability one half.

  None of the 12 AUs changes its name in a mirror; horizontal flow u changes its sign,
  which is 1 - u where it is scaled to [0, 1] (and 0 all over where u is constant). Kept
  latents are mirrored themselves: not quite what the magnifier would make of mirrored
  frames.

  Args:
    key: of the step.
    batch: `flow` (B, H, W, 3), and what else of `latents` and frames (B, h, w, C).
  """
  chosen = jax.random.bernoulli(key, shape=(len(batch["flow"]), 1, 1, 1))

  def mirrored(name, x):
    other = jnp.flip(x, axis=2)
    if name == "flow":
      u = other[..., 0]
      varies = u.max((1, 2), keepdims=True) > u.min((1, 2), keepdims=True)
      u = jnp.where(varies, 1 - u, u)
      # Not `.at[].set`, which is a scatter.
      other = jnp.concatenate([u[..., None], other[..., 1:]], axis=-1)
    return jnp.where(chosen, other, x)

  seen = {"flow", "latents", *FRAMES}
  return {name: mirrored(name, x) if name in seen else x for name, x in batch.items()}
