"""The networks that InfuseNet is compared with, all on the flow image alone.

Layers and sizes as in the CD6ME benchmark (arXiv 2211.11425) and the networks' own
papers. Each takes flow (B, H, W, 3), horizontal flow, vertical flow and strain scaled
to [0, 1] per clip, resizes it to the size it was published with, and has one head of
logits (B, num_aus). `train()` and `eval()` switch dropout and batch statistics.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from infusenet_jax.models import lowering
from infusenet_jax.models.branches import FlowBranch
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.models.resnet import BatchNorm

# PyTorch's default: U(-b, b) with b = 1 / sqrt(fan in).
_uniform = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
Conv = partial(nnx.Conv, kernel_init=_uniform, conv_general_dilated=lowering.conv)
Linear = partial(nnx.Linear, kernel_init=_uniform)


class SSSNet(Classifier):
  """Two convolutions with channel dropout and one hidden layer, at 64 px.

  Varanka, Peng, Zhao, "Learn from Each Other's Mistakes" (2021).
  """

  size = 64

  def __init__(self, num_aus: int = 12, *, rngs: nnx.Rngs):
    # One mask for all pixels: a channel is dropped as a whole.
    channels = partial(nnx.Dropout, 0.5, broadcast_dims=(1, 2), rngs=rngs)
    self.features = nnx.Sequential(
      Conv(3, 32, (5, 5), padding="VALID", rngs=rngs),
      nnx.relu,
      partial(lowering.max_pool, window=3, stride=3, padding=0),
      BatchNorm(32, rngs=rngs),
      channels(),
      Conv(32, 64, (3, 3), padding="VALID", rngs=rngs),
      nnx.relu,
      partial(lowering.max_pool, window=2, stride=2, padding=0),
      BatchNorm(64, rngs=rngs),
      channels(),
    )
    self.head = nnx.Sequential(
      Linear(9 * 9 * 64, 256, rngs=rngs),
      nnx.relu,
      nnx.Dropout(0.5, rngs=rngs),
      Linear(256, num_aus, rngs=rngs),
    )

  def heads(
    self, flow: jax.Array, latents: None = None, *, rotations: tuple | None = None
  ) -> tuple[jax.Array]:
    return (self.head(_flat(self.features(_resized(flow, self.size)))),)


class STSTNet(Classifier):
  """Three shallow parallel streams of 3, 5 and 8 filters, at 28 px.

  Liong, Gan, See, Khor, Huang, "Shallow Triple Stream Three-dimensional CNN" (2019).
  """

  size = 28

  def __init__(self, num_aus: int = 12, *, rngs: nnx.Rngs):
    self.streams = nnx.List(
      nnx.Sequential(
        Conv(3, filters, (3, 3), padding=2, rngs=rngs),
        nnx.relu,
        BatchNorm(filters, rngs=rngs),
        partial(lowering.max_pool, window=3, stride=3, padding=1),
        nnx.Dropout(0.5, rngs=rngs),
      )
      for filters in (3, 5, 8)
    )
    self.head = Linear(5 * 5 * 16, num_aus, rngs=rngs)

  def heads(
    self, flow: jax.Array, latents: None = None, *, rotations: tuple | None = None
  ) -> tuple[jax.Array]:
    flow = _resized(flow, self.size)
    x = jnp.concatenate([stream(flow) for stream in self.streams], axis=-1)
    return (self.head(_flat(nnx.avg_pool(x, (2, 2), strides=(2, 2)))),)


class OffApexNet(Classifier):
  """One stream of two convolutions for each of u and v, joined at 28 px.

  Gan, Liong, Yau, Huang, Tan, "OFF-ApexNet on Micro-expression Recognition System"
  (2019). The strain is not used.
  """

  size = 28

  def __init__(self, num_aus: int = 12, *, rngs: nnx.Rngs):
    pool = partial(lowering.max_pool, window=2, stride=2, padding=0)
    self.streams = nnx.List(
      nnx.Sequential(
        Conv(1, 6, (3, 3), padding=1, rngs=rngs),
        nnx.relu,
        pool,
        Conv(6, 16, (3, 3), padding=1, rngs=rngs),
        nnx.relu,
        pool,
      )
      for _ in ("u", "v")
    )
    self.head = nnx.Sequential(
      nnx.Dropout(0.5, rngs=rngs),
      Linear(2 * 7 * 7 * 16, 1024, rngs=rngs),
      nnx.relu,
      nnx.Dropout(0.5, rngs=rngs),
      Linear(1024, num_aus, rngs=rngs),
    )

  def heads(
    self, flow: jax.Array, latents: None = None, *, rotations: tuple | None = None
  ) -> tuple[jax.Array]:
    flow = _resized(flow, self.size)
    features = [
      _flat(stream(flow[..., i : i + 1])) for i, stream in enumerate(self.streams)
    ]
    return (self.head(jnp.concatenate(features, axis=-1)),)


class FlowResNet18(FlowBranch):
  """ResNet-18 (He et al. 2016) on the flow image at 112 px, or what there is of them.

  Its arguments are those of `FlowBranch`.
  """

  size = 112

  def heads(
    self, flow: jax.Array, latents: None = None, *, rotations: tuple | None = None
  ) -> tuple[jax.Array]:
    return super().heads(_resized(flow, min(self.size, flow.shape[1])))


BASELINES = {
  "sssnet": SSSNet,
  "ststnet": STSTNet,
  "off_apexnet": OffApexNet,
  "resnet18": FlowResNet18,
}


def _resized(flow: jax.Array, size: int) -> jax.Array:
  shape = (flow.shape[0], size, size, flow.shape[3])
  return jax.image.resize(flow, shape, "linear")


def _flat(x: jax.Array) -> jax.Array:
  return x.reshape(x.shape[0], -1)
