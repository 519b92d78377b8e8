"""Networks that InfuseNet is compared with; all of them see nothing but the flow image.

Layers and sizes are those of the CD6ME benchmark (arXiv 2211.11425) and of the
networks' own papers. Each takes flow (B, H, W, 3): horizontal flow, vertical flow and
strain, scaled to [0, 1] per clip. It resizes the flow to the size that the network was
published with and has one head of logits (B, num_aus). `train()` and `eval()` switch
dropout and batch statistics.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from infusenet_jax.models import lowering
from infusenet_jax.models.branches import FlowBranch
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.models.resnet import BatchNorm, linear, torch_init


def conv(
  features_in: int, features: int, size: int, *, padding: int = 0, rngs: nnx.Rngs
) -> nnx.Conv:
  """Makes a convolution with bias and PyTorch's initial weights; see `torch_init`."""
  return nnx.Conv(
    features_in,
    features,
    (size, size),
    padding=padding,
    conv_general_dilated=lowering.conv,
    **torch_init(features_in * size * size),
    rngs=rngs,
  )


class SSSNet(Classifier):
  """Two convolutions with channel dropout and one hidden layer, at 64 px.

  Varanka, Peng, Zhao, "Learn from Each Other's Mistakes" (2021).
  """

  size = 64

  def __init__(self, num_aus: int = 12, *, rngs: nnx.Rngs):
    # One mask for all pixels, so that a channel is dropped as a whole.
    channels = partial(nnx.Dropout, 0.5, broadcast_dims=(1, 2), rngs=rngs)
    self.features = nnx.Sequential(
      conv(3, 32, 5, rngs=rngs),
      nnx.relu,
      partial(lowering.max_pool, window=3, stride=3, padding=0),
      BatchNorm(32, rngs=rngs),
      channels(),
      conv(32, 64, 3, rngs=rngs),
      nnx.relu,
      partial(lowering.max_pool, window=2, stride=2, padding=0),
      BatchNorm(64, rngs=rngs),
      channels(),
    )
    self.head = nnx.Sequential(
      linear(9 * 9 * 64, 256, rngs=rngs),
      nnx.relu,
      nnx.Dropout(0.5, rngs=rngs),
      linear(256, num_aus, rngs=rngs),
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
        conv(3, filters, 3, padding=2, rngs=rngs),
        nnx.relu,
        BatchNorm(filters, rngs=rngs),
        partial(lowering.max_pool, window=3, stride=3, padding=1),
        nnx.Dropout(0.5, rngs=rngs),
      )
      for filters in (3, 5, 8)
    )
    self.head = linear(5 * 5 * 16, num_aus, rngs=rngs)

  def heads(
    self, flow: jax.Array, latents: None = None, *, rotations: tuple | None = None
  ) -> tuple[jax.Array]:
    flow = _resized(flow, self.size)
    x = jnp.concatenate([stream(flow) for stream in self.streams], axis=-1)
    return (self.head(_flat(nnx.avg_pool(x, (2, 2), strides=(2, 2)))),)


class OffApexNet(Classifier):
  """Two convolutions on u and v and one hidden layer, at 28 px; strain is not used.

  Gan, Liong, Yau, Huang, Tan, "OFF-ApexNet on Micro-expression Recognition System"
  (2019). Their network has two streams, one for u and one for v, joined before the
  hidden layer. The CD6ME benchmark's network, which made the published results, has a
  single stream that sees both.

  Args:
    num_aus: outputs A, one per action unit.
    streams: 1 or 2.
    rngs: initialises the parameters.

  Raises:
    ValueError: `streams` is neither.
  """

  size = 28

  def __init__(self, num_aus: int = 12, *, streams: int = 2, rngs: nnx.Rngs):
    if streams not in STREAMS:
      raise ValueError(f"streams is {streams!r}, expected 1 or 2")
    pool = partial(lowering.max_pool, window=2, stride=2, padding=0)
    self.streams = nnx.List(
      nnx.Sequential(
        conv(2 // streams, 6, 3, padding=1, rngs=rngs),
        nnx.relu,
        pool,
        conv(6, 16, 3, padding=1, rngs=rngs),
        nnx.relu,
        pool,
      )
      for _ in range(streams)
    )
    self.head = nnx.Sequential(
      nnx.Dropout(0.5, rngs=rngs),
      linear(streams * 7 * 7 * 16, 1024, rngs=rngs),
      nnx.relu,
      nnx.Dropout(0.5, rngs=rngs),
      linear(1024, num_aus, rngs=rngs),
    )

  def heads(
    self, flow: jax.Array, latents: None = None, *, rotations: tuple | None = None
  ) -> tuple[jax.Array]:
    flow = _resized(flow, self.size)
    seen = jnp.split(flow[..., :2], len(self.streams), axis=-1)
    features = [_flat(stream(x)) for stream, x in zip(self.streams, seen, strict=True)]
    return (self.head(jnp.concatenate(features, axis=-1)),)


class FlowResNet18(FlowBranch):
  """ResNet-18 (He et al. 2016) on the flow image, resized to 112 px if it is larger.

  Its arguments are those of `FlowBranch`.
  """

  size = 112

  def pooled_features(
    self, flow: jax.Array, latents: None = None, *, rotations: tuple | None = None
  ) -> tuple[jax.Array]:
    return super().pooled_features(_resized(flow, min(self.size, flow.shape[1])))


STREAMS = (1, 2)  # of OffApexNet
# Networks by `config.model.name`.
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
