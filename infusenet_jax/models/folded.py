"""InfuseNet for use alone: its rotations multiplied into the weights beside them.

A unitary infusion is y = Q^T (g * (Q x)). Q comes after a ReLU and has to stay. Q^T
comes before linear maps, and a product of linear maps is one: it goes into the two
convolutions that begin the next stage, whose zero padding Q^T leaves zero; that of
stage 4, with which averaging over pixels commutes, into the Q of the pooled features;
and the pooled features' into the head. What is computed stays the same but for
rounding.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from infusenet_jax.models.infusenet import InfuseNet


class Gated(nnx.Module):
  """y = g * (W x): an infusion whose second rotation is elsewhere.

  Args:
    matrix: W, (C, C).
  """

  def __init__(self, matrix: np.ndarray):
    self.matrix = nnx.Param(jnp.asarray(matrix, jnp.float32))

  def rotation(self) -> None:
    """Returns None: this infusion has no rotation."""

  def __call__(self, x: jax.Array, gate: jax.Array, rotation=None) -> jax.Array:
    highest = jax.lax.Precision.HIGHEST
    return (gate * jnp.matmul(x, self.matrix[...].T, precision=highest)).astype(x.dtype)


class FoldedInfuseNet(InfuseNet):
  """Computes what a trained `InfuseNet` computes, with half of the rotations.

  Args:
    model: that InfuseNet. It is used up: its parts are changed and are parts of this.
  """

  def __init__(self, model: InfuseNet):
    for name, part in vars(model).items():
      if not name.startswith("_"):
        setattr(self, name, part)
    *rotations, pooled_rotation = (
      None if q is None else np.asarray(q, np.float64) for q in model.rotations()
    )
    *infusions, pooled = model.infusions
    after = None  # The rotation whose transpose is still to come.
    for place, (stage, q) in enumerate(
      zip(model.magnified_stages, rotations, strict=True)
    ):
      if after is not None:
        block = stage.layers[0]
        for conv in (block.conv1, block.downsample.layers[0]):
          _rotate_inputs(conv, after)
      if q is not None:
        infusions[place] = Gated(q)
      after = q
    if (q := pooled_rotation) is not None:
      pooled, after = Gated(q if after is None else q @ after.T), q
    self.infusions = nnx.List([*infusions, pooled])
    self.magnified_head = nnx.clone(model.head)
    if after is not None:
      _rotate_inputs(self.magnified_head, after)

  def heads(
    self, flow: jax.Array, latents: jax.Array, *, rotations: tuple | None = None
  ) -> tuple[jax.Array, jax.Array]:
    x, m = self.pooled_features(flow, latents)
    return self.head(x), self.magnified_head(m)


def _rotate_inputs(layer: nnx.Conv | nnx.Linear, q: np.ndarray) -> None:
  """Makes a linear layer of x one of u, where x = Q^T u in its channels."""
  kernel = np.asarray(layer.kernel[...], np.float64)  # (..., C, D).
  layer.kernel[...] = jnp.asarray(q @ kernel, layer.kernel[...].dtype)
