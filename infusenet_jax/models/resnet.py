"""ResNet-18 (He et al. 2016) as torchvision builds it: stem and four stages."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from infusenet_jax.models import lowering

Conv = partial(
  nnx.Conv,
  use_bias=False,
  kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
  conv_general_dilated=lowering.conv,
)


class BatchNorm(nnx.BatchNorm):
  """scale (x - mean) / sqrt(var + 1e-5) + bias, by channel (Ioffe, Szegedy 2015).

  In training, mean and var are those of the batch's n values per channel, and
  running = 0.9 running + 0.1 new is kept for evaluation. As in PyTorch and unlike in
  Flax, the variance is divided by n where it normalises and by n - 1 where it is kept.
  Computed in float32 or wider.
  """

  def __init__(self, features: int, *, rngs: nnx.Rngs):
    super().__init__(
      features, momentum=0.9, epsilon=1e-5, use_fast_variance=False, rngs=rngs
    )

  def __call__(self, x: jax.Array) -> jax.Array:
    if self.use_running_average:
      return super().__call__(x)
    kept = self.momentum * self.var[...]
    y = super().__call__(x)
    count = x.size // x.shape[-1]
    self.var[...] = kept + (self.var[...] - kept) * count / max(count - 1, 1)
    return y


class BasicBlock(nnx.Module):
  """ReLU(BN(conv3x3(ReLU(BN(conv3x3(x))))) + shortcut(x)).

  The shortcut is a strided 1x1 convolution with BN where the shape changes.
  """

  def __init__(
    self, features_in: int, features: int, stride: int = 1, *, dtype=None, rngs
  ):
    conv = partial(Conv, dtype=dtype, rngs=rngs)
    strides = (stride, stride)
    self.conv1 = conv(features_in, features, (3, 3), strides, padding=1)
    self.bn1 = BatchNorm(features, rngs=rngs)
    self.conv2 = conv(features, features, (3, 3), padding=1)
    self.bn2 = BatchNorm(features, rngs=rngs)
    if stride == 1 and features_in == features:
      self.downsample = None
    else:
      self.downsample = nnx.Sequential(
        conv(features_in, features, (1, 1), strides, padding=0),
        BatchNorm(features, rngs=rngs),
      )

  def __call__(self, x: jax.Array) -> jax.Array:
    y = self.conv1(x)
    dtype = y.dtype
    y = self.bn2(self.conv2(nnx.relu(self.bn1(y))))
    if self.downsample is not None:
      x = self.downsample(x)
    return nnx.relu(y + x).astype(dtype)


class Stem(nnx.Module):
  """conv7x7/2, BN, ReLU, max-pool 3x3/2: (B, H, W, 3) -> (B, H/4, W/4, width)."""

  def __init__(
    self, width: int = 64, features_in: int = 3, *, dtype=None, rngs: nnx.Rngs
  ):
    self.conv1 = Conv(
      features_in, width, (7, 7), (2, 2), padding=3, dtype=dtype, rngs=rngs
    )
    self.bn1 = BatchNorm(width, rngs=rngs)

  def __call__(self, x: jax.Array) -> jax.Array:
    x = self.conv1(x)
    return lowering.max_pool(nnx.relu(self.bn1(x)).astype(x.dtype))


def stages(
  features_in: int, width: int = 64, *, dtype=None, rngs: nnx.Rngs
) -> nnx.List:
  """Makes the four stages, of two blocks each and 1, 2, 4 and 8 times `width` channels.

  All but the first halve height and width.
  """
  built = nnx.List()
  for level in range(4):
    features = width * 2**level
    built.append(
      nnx.Sequential(
        BasicBlock(
          features_in, features, stride=min(level + 1, 2), dtype=dtype, rngs=rngs
        ),
        BasicBlock(features, features, dtype=dtype, rngs=rngs),
      )
    )
    features_in = features
  return built


def pooled(trunk: nnx.List, x: jax.Array) -> jax.Array:
  """Runs all stages and averages over pixels: (B, h, w, C) -> (B, 8 width)."""
  for stage in trunk:
    x = stage(x)
  return global_average(x)


def global_average(x: jax.Array) -> jax.Array:
  """Averages over pixels, (B, h, w, C) -> (B, C), in float32 or wider."""
  return jnp.mean(x.astype(jnp.promote_types(x.dtype, jnp.float32)), axis=(1, 2))


def linear(features_in: int, features: int, *, rngs: nnx.Rngs) -> nnx.Linear:
  """Makes a linear layer with PyTorch's initial weights; see `torch_init`."""
  return nnx.Linear(features_in, features, **torch_init(features_in), rngs=rngs)


def torch_init(fan_in: int) -> dict[str, Callable]:
  """Returns initialisers as PyTorch's: weights and biases from U(-b, b).

  b is 1 / sqrt(fan_in). They are arguments of `nnx.Conv` and `nnx.Linear`.
  """
  bound = fan_in**-0.5

  def uniform(key, shape, dtype, **_):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return {"kernel_init": uniform, "bias_init": uniform}
