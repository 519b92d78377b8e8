"""Networks made of InfuseNet's branches: each alone, and both without infusion.

Each is built from the parts that InfuseNet is built from and has one head. `train()`
and `eval()` switch between batch and running statistics.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from infusenet_jax.models import resnet
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.models.magnifier import MagnifiedInput, Magnifier


class FlowBranch(Classifier):
  """ResNet-18 (He et al. 2016) on the flow image, which is not resized.

  Args:
    num_aus: outputs A, one per action unit.
    width: channels of stage 1; 64 is ResNet-18.
    dtype: of the computation; parameters, statistics and logits stay float32.
    rngs: initialises the parameters.
  """

  def __init__(self, num_aus: int = 12, *, width: int = 64, dtype=None, rngs: nnx.Rngs):
    self.stem = resnet.Stem(width, dtype=dtype, rngs=rngs)
    self.stages = resnet.stages(width, width, dtype=dtype, rngs=rngs)
    self.head = resnet.linear(8 * width, num_aus, rngs=rngs)

  def pooled_features(
    self, flow: jax.Array, latents: None = None, *, rotations: tuple | None = None
  ) -> tuple[jax.Array]:
    """Computes (B, 8 width) of flow (B, H, W, 3), each channel in [0, 1]."""
    return (resnet.pooled(self.stages, self.stem(flow)),)


class MagnifiedBranch(Classifier):
  """ResNet-18's stages on magnified latents, or ResNet-18 on reconstructed frames.

  Args:
    num_aus, width, dtype, rngs: as in `FlowBranch`.
    magnified, window_apex, amp: what it sees, as in `MagnifiedInput`.
  """

  head_names = ("magnified",)

  def __init__(
    self,
    num_aus: int = 12,
    *,
    magnified: str = "latents",
    window_apex: bool = True,
    amp: float = 10.0,
    width: int = 64,
    dtype=None,
    rngs: nnx.Rngs,
  ):
    self.magnified = MagnifiedInput(magnified, window_apex, amp)
    self.magnifier = Magnifier(dtype=dtype, rngs=rngs)
    self.magnified_stem, channels = self.magnified.stem(width, dtype=dtype, rngs=rngs)
    self.magnified_stages = resnet.stages(channels, width, dtype=dtype, rngs=rngs)
    self.head = resnet.linear(8 * width, num_aus, rngs=rngs)

  def pooled_features(
    self,
    flow: jax.Array,
    latents: jax.Array,
    *,
    rotations: tuple | None = None,
  ) -> tuple[jax.Array]:
    """Computes (B, 8 width) from magnified latents; `flow` is ignored."""
    return (self._magnified_features(latents),)

  def _magnified_features(self, latents):
    return resnet.pooled(self.magnified_stages, self.magnified_stem(latents))


class Concatenated(MagnifiedBranch):
  """Both branches, their pooled features concatenated, one linear head."""

  head_names = ("concatenated",)

  def __init__(
    self,
    num_aus: int = 12,
    *,
    width: int = 64,
    dtype=None,
    rngs: nnx.Rngs,
    **magnified,
  ):
    super().__init__(num_aus, width=width, dtype=dtype, rngs=rngs, **magnified)
    self.flow_stem = resnet.Stem(width, dtype=dtype, rngs=rngs)
    self.flow_stages = resnet.stages(width, width, dtype=dtype, rngs=rngs)
    self.head = resnet.linear(2 * 8 * width, num_aus, rngs=rngs)

  def pooled_features(
    self,
    flow: jax.Array,
    latents: jax.Array,
    *,
    rotations: tuple | None = None,
  ) -> tuple[jax.Array]:
    """Computes (B, 16 width) from flow (B, H, W, 3) and magnified latents."""
    features = (
      resnet.pooled(self.flow_stages, self.flow_stem(flow)),
      self._magnified_features(latents),
    )
    return (jnp.concatenate(features, axis=-1),)


# Networks by `config.model.name`.
BRANCHES = {
  "flow_branch": FlowBranch,
  "magnified_branch": MagnifiedBranch,
  "concatenated": Concatenated,
}
