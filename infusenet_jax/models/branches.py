"""Networks made of InfuseNet's parts: a branch alone, and both without infusion.

Each is built from the parts that InfuseNet is built from and has one head. `train()`
and `eval()` switch between batch and running statistics.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from infusenet_jax.models import resnet
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.models.magnified_input import MagnifiedInput


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
  """ResNet-18's stages on magnified latents, or ResNet-18 on what has frames' size.

  Args:
    num_aus, width, dtype, rngs: as in `FlowBranch`.
    **seen: what it sees, by the attributes of `MagnifiedInput`.
  """

  head_names = ("magnified",)

  def __init__(
    self,
    num_aus: int = 12,
    *,
    width: int = 64,
    dtype=None,
    rngs: nnx.Rngs,
    **seen,
  ):
    self.magnified = MagnifiedInput(**seen)
    self.magnifier = self.magnified.make_magnifier(dtype=dtype, rngs=rngs)
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
    **seen,
  ):
    super().__init__(num_aus, width=width, dtype=dtype, rngs=rngs, **seen)
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


class ConcatenatedInput(Classifier):
  """One ResNet-18 on the flow and what is seen of the frames, as channels of one image.

  Args:
    num_aus, width, dtype, rngs: as in `FlowBranch`.
    **seen: by the attributes of `MagnifiedInput`; what has the flow's size.

  Raises:
    ValueError: latents are to be seen, which have a fourth of it.
  """

  head_names = ("concatenated",)

  def __init__(
    self,
    num_aus: int = 12,
    *,
    width: int = 64,
    dtype=None,
    rngs: nnx.Rngs,
    **seen,
  ):
    self.magnified = MagnifiedInput(**seen)
    if not self.magnified.full_size:
      raise ValueError(
        "magnified is 'latents', which are smaller than the flow; expected "
        "reconstructed or difference"
      )
    self.magnifier = self.magnified.make_magnifier(dtype=dtype, rngs=rngs)
    *_, channels = self.magnified.shape(4)
    self.stem = resnet.Stem(width, 3 + channels, dtype=dtype, rngs=rngs)
    self.stages = resnet.stages(width, width, dtype=dtype, rngs=rngs)
    self.head = resnet.linear(8 * width, num_aus, rngs=rngs)

  def pooled_features(
    self,
    flow: jax.Array,
    latents: jax.Array,
    *,
    rotations: tuple | None = None,
  ) -> tuple[jax.Array]:
    """Computes (B, 8 width) from flow (B, H, W, 3) and `magnified.shape(H)` beside."""
    image = jnp.concatenate([flow, latents.astype(flow.dtype)], axis=-1)
    return (resnet.pooled(self.stages, self.stem(image)),)


# Networks by `config.model.name`.
BRANCHES = {
  "flow_branch": FlowBranch,
  "magnified_branch": MagnifiedBranch,
  "concatenated": Concatenated,
  "concatenated_input": ConcatenatedInput,
}
