"""The interface of networks that find action units, for training, testing and maps."""

import jax
from flax import nnx

from infusenet_jax.models.magnified_input import MagnifiedInput


class Classifier(nnx.Module):
  """A network with one or more heads, each with a logit per action unit.

  A subclass defines `heads(flow, latents, *, rotations=None)`, which returns the logits
  (B, A) of every head, or `pooled_features` and a linear layer `head`. Flow is
  (B, H, W, 3): horizontal flow, vertical flow and strain, each scaled to [0, 1] per
  clip. `latents` is what `magnified_latents` returned, and None for a network that sees
  nothing but the flow. A network that sees frames too sets `magnified` and `magnifier`,
  which is None where nothing is magnified; one with infusion overrides `rotations` and
  `infused_stages`.

  Attributes:
    head_names: one for each array that `heads` returns; ("flow", "magnified") for
      InfuseNet.
    magnified: what the network sees of the frames; None if it sees nothing but the
      flow.
  """

  head_names: tuple[str, ...] = ("flow",)
  magnified: MagnifiedInput | None = None

  def __call__(
    self,
    flow: jax.Array,
    onset: jax.Array | None = None,
    apex: jax.Array | None = None,
    window_apex: jax.Array | None = None,
    offset: jax.Array | None = None,
    *,
    rotations: tuple | None = None,
  ) -> tuple[jax.Array, ...]:
    """Computes the logits (B, A) of every head.

    Args:
      flow: (B, H, W, 3) in [0, 1].
      onset, apex, window_apex: (B, H, W, 3) in [-1, 1]; may be left out for networks
        that see nothing but the flow.
      offset: the same, for networks whose `magnified.sees_offset`.
      rotations: what `rotations()` returned; computed here if left out.
    """
    latents = None
    if self.magnified is not None:
      latents = self.magnified_latents(onset, apex, window_apex, offset)
    return self.heads(flow, latents, rotations=rotations)

  def heads(
    self,
    flow: jax.Array,
    latents: jax.Array | None = None,
    *,
    rotations: tuple | None = None,
  ) -> tuple[jax.Array, ...]:
    """Computes the logits (B, A) of every head: `head` of all `pooled_features`."""
    features = self.pooled_features(flow, latents, rotations=rotations)
    return tuple(self.head(x) for x in features)

  def pooled_features(
    self,
    flow: jax.Array,
    latents: jax.Array | None = None,
    *,
    rotations: tuple | None = None,
  ) -> tuple[jax.Array, ...]:
    """Computes what the last linear layer sees, (B, D) for every head."""
    raise NotImplementedError(f"{type(self).__name__} has no pooled features")

  def magnified_latents(
    self,
    onset: jax.Array,
    apex: jax.Array,
    window_apex: jax.Array,
    offset: jax.Array | None = None,
  ) -> jax.Array:
    """Computes what the network sees of the frames.

    It depends on the frames and the magnifier alone. With a magnifier that is not
    trained it can therefore be computed once per clip and kept.

    Args:
      onset, apex, window_apex: (B, H, W, 3) in [-1, 1].
      offset: the same, where `magnified.sees_offset`.

    Returns:
      (B, *magnified.shape(H)): by default the magnified differences of both pairs of
      frames after ReLU and max-pool, (B, H/4, W/4, 64), not negative.
    """
    return self.magnified(self.magnifier, onset, apex, window_apex, offset)

  def rotations(self) -> tuple[jax.Array | None, ...]:
    """Computes the orthogonal matrices of the infusions; () for networks without any.

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
    """Computes {stage, from 1: (gate, infused features)} for stages with infusion."""
    return {}
