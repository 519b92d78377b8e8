"""What training, testing and pictures ask of any network that finds action units."""

import jax
from flax import nnx

from infusenet_jax.models.magnifier import MagnifiedInput


class Classifier(nnx.Module):
  """A network with one or more heads, each with a logit per action unit.

  A subclass defines `heads`. One that looks at more than the flow sets `magnified` and
  has a `magnifier`; one that infuses defines `rotations` and `infused_stages`. Flow is
  (B, H, W, 3): horizontal flow, vertical flow and strain, each in [0, 1] per clip;
  `latents` is what `magnified_latents` returned, None where `magnified` is.

  Attributes:
    head_names: of the logits in `heads`, "flow" and "magnified" for InfuseNet.
    magnified: what is seen of the frames; None where the flow is all that is seen.
  """

  head_names: tuple[str, ...] = ("flow",)
  magnified: MagnifiedInput | None = None

  def __call__(
    self,
    flow: jax.Array,
    onset: jax.Array | None = None,
    apex: jax.Array | None = None,
    window_apex: jax.Array | None = None,
    *,
    rotations: tuple | None = None,
  ) -> tuple[jax.Array, ...]:
    """The logits (B, A) of every head.

    Args:
      flow: (B, H, W, 3) in [0, 1].
      onset, apex, window_apex: (B, H, W, 3) in [-1, 1]; networks on flow need none.
      rotations: what `rotations()` returned; computed here if left out.
    """
    latents = None
    if self.magnified is not None:
      latents = self.magnified_latents(onset, apex, window_apex)
    return self.heads(flow, latents, rotations=rotations)

  def magnified_latents(
    self, onset: jax.Array, apex: jax.Array, window_apex: jax.Array
  ) -> jax.Array:
    """All that the magnifier contributes, so a frozen one's can be kept per clip.

    Args:
      onset, apex, window_apex: (B, H, W, 3) in [-1, 1].

    Returns:
      (B, *magnified.shape(H)): by default (B, H/4, W/4, 64), not negative, the
      magnified differences of both pairs of frames after ReLU and max-pool.
    """
    return self.magnified(self.magnifier, onset, apex, window_apex)

  def rotations(self) -> tuple[jax.Array | None, ...]:
    """The orthogonal matrices of its infusions; () where it infuses nothing.

    They depend on the parameters alone: for inference compute them once and pass
    them to every call.
    """
    return ()

  def infused_stages(
    self,
    flow: jax.Array,
    latents: jax.Array | None,
    *,
    rotations: tuple | None = None,
  ) -> dict[int, tuple[jax.Array, jax.Array]]:
    """The gate and the infused features of each stage that infuses, by its number."""
    return {}
