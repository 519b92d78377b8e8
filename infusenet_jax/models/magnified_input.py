"""What a classifier sees of the frames: magnified motion, and what it is read against.

A difference of latents alone does not say which way something moved: it has the sign of
the texture's gradient there, which only the onset shows. Nor does it say what the head
and the light have done meanwhile, which drift on while a face returns to rest: that the
difference to the offset shows. `reference` puts beside the differences what they can be
read against.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from infusenet_jax.models import lowering, resnet
from infusenet_jax.models.magnifier import LATENT_CHANNELS, Magnifier

MAGNIFIED = ("latents", "reconstructed", "difference")
OF_LATENTS = ("onset", "signed")
BOTH_ENDS = ("offset", "offset_mean")
REFERENCES = ("", *OF_LATENTS, *BOTH_ENDS)

# Side of the square, in pixels of the latents, within which an onset's texture is set
# off from what surrounds it; as wide as the manipulator's first kernel.
NEIGHBOURHOOD = 7
# Texture of less than this share of the face's mean power counts as noise.
NOISE = 0.1


@dataclass(frozen=True)
class MagnifiedInput:
  """What a network sees of the frames: magnified motion since the onset.

  The motion is that from the onset to the apex, and that to the window apex, a second
  frame near the annotated apex.

  Attributes:
    magnified: "latents" are magnified differences after ReLU and max-pool, 32 channels
      per pair of frames; nothing is decoded. "reconstructed" is what InfuseNet argues
      against: the decoded magnified frame minus the onset, 3 channels per pair. The
      onset is decoded as well, so that what the decoder alone does to a face cancels:
      a whole face would show who it is rather than how it moves. "difference" is a
      frame minus the onset as they are, 3 channels per pair: no magnifier has a part.
    window_apex: whether the window apex is seen as well as the apex.
    amp: magnification factor.
    reference: what stands beside the differences. "" is nothing, as published. Beside
      those of latents "onset" is the onset's texture, `local_contrast`, 32 channels,
      and "signed" motion along x and y, `signed_motion` times amp - 1, 2 channels per
      pair. Beside any kind "offset" is the same differences since the offset, the end
      of the expression, behind those since the onset: twice the channels.
      "offset_mean" replaces both by their mean, which is taken before the ReLU, and has
      as many channels as without: what changes linearly in time cancels where the apex
      is midway.
    more_amps: further factors; what is seen with each stands behind that with `amp`.
      Differences of latents are proportional to amp - 1, as no layer of the
      manipulator has a bias: of these it shows copies in another scale.

  Raises:
    ValueError: magnified or reference is none of the above, or they do not fit.
  """

  magnified: str = "latents"
  window_apex: bool = True
  amp: float = 10.0
  reference: str = ""
  more_amps: tuple[float, ...] = ()

  def __post_init__(self):
    object.__setattr__(self, "more_amps", tuple(self.more_amps))
    for name, allowed in (("magnified", MAGNIFIED), ("reference", REFERENCES)):
      if (found := getattr(self, name)) not in allowed:
        raise ValueError(
          f"{name} is {found!r}, expected one of "
          + ", ".join(each or "''" for each in allowed)
        )
    if self.reference in OF_LATENTS and self.magnified != "latents":
      raise ValueError(
        f"reference is {self.reference!r}, which is of latents, but magnified is "
        f"{self.magnified!r}; expected another reference or magnified 'latents'"
      )
    if self.more_amps and not self.magnifies:
      raise ValueError(
        f"more_amps is {self.more_amps}, but magnified is {self.magnified!r}, which "
        "magnifies nothing; expected ()"
      )

  @property
  def magnifies(self) -> bool:
    """Whether a magnifier has a part in it."""
    return self.magnified != "difference"

  @property
  def sees_offset(self) -> bool:
    """Whether the frame at the offset has a part in it."""
    return self.reference in BOTH_ENDS

  @property
  def full_size(self) -> bool:
    """Whether it has as many pixels as the frames, so that it needs ResNet's stem."""
    return self.magnified != "latents"

  def __call__(
    self,
    magnifier: Magnifier | None,
    onset: jax.Array,
    apex: jax.Array,
    window_apex: jax.Array,
    offset: jax.Array | None = None,
  ) -> jax.Array:
    """Computes what is seen, (B, *shape(H)), of frames (B, H, W, 3) in [-1, 1].

    Raises:
      ValueError: the offset is seen, and there is none.
    """
    if self.sees_offset and offset is None:
      raise ValueError(f"reference is {self.reference!r}, but there is no offset")
    ends = (onset, offset) if self.sees_offset else (onset,)
    apexes = (apex, window_apex) if self.window_apex else (apex,)
    if not self.magnifies:
      changes = [frame - end for end in ends for frame in apexes]
      return jnp.concatenate(self._over_ends(changes), axis=-1)
    pairs, first = len(apexes), len(ends) * onset.shape[0]
    latents = magnifier.encoder(jnp.concatenate([*ends, *apexes]))
    a, b = latents[:first], latents[first:]
    each_a = jnp.concatenate(
      [each for each in _split(a, len(ends)) for _ in range(pairs)]
    )
    each_b = jnp.concatenate([b, b]) if self.sees_offset else b
    amps = (self.amp, *self.more_amps)
    ds = [magnifier.manipulator(each_a, each_b, amp) for amp in amps]
    pairs *= len(ends)
    if self.magnified == "reconstructed":
      frames = jnp.concatenate([a, *(each_b + d for d in ds)])
      decoded = jnp.split(magnifier.decoder(frames), len(ends) + pairs * len(ds))
      return jnp.concatenate(self._over_ends(self._since(decoded)), axis=-1)
    seen = [
      lowering.max_pool(
        nnx.relu(jnp.concatenate(self._over_ends(jnp.split(d, pairs)), axis=-1))
      )
      for d in ds
    ]
    if self.reference == "onset":
      seen.append(local_contrast(a))
    elif self.reference == "signed":
      motion = signed_motion(each_a, (self.amp - 1) * (b - each_a))
      seen.append(_beside(motion, pairs))
    return jnp.concatenate(seen, axis=-1)

  def _since(self, decoded: Sequence[jax.Array]) -> list[jax.Array]:
    """Subtracts the end that each decoded frame was magnified since.

    Args:
      decoded: the ends, then for every factor, end and apex the magnified frame.
    """
    count = 1 + self.sees_offset
    ends, frames = decoded[:count], decoded[count:]
    pairs = 1 + self.window_apex
    return [frame - ends[i // pairs % count] for i, frame in enumerate(frames)]

  def _over_ends(self, changes: Sequence[jax.Array]) -> list[jax.Array]:
    """Takes the mean over both ends, if it is what is seen.

    Args:
      changes: for every factor, end and apex the change since that end.
    """
    if self.reference != "offset_mean":
      return list(changes)
    pairs = 1 + self.window_apex
    starts = (i for i in range(len(changes)) if i // pairs % 2 == 0)
    return [(changes[i] + changes[i + pairs]) / 2 for i in starts]

  def shape(self, size: int) -> tuple[int, int, int]:
    """Returns height, width and channels of what is seen of frames of `size` pixels."""
    pairs, amps = 1 + self.window_apex, 1 + len(self.more_amps)
    beside = {"onset": LATENT_CHANNELS, "signed": 2 * pairs}.get(self.reference, 0)
    pairs *= 2 if self.reference == "offset" else 1
    if self.full_size:
      return size, size, pairs * amps * 3
    return size // 4, size // 4, pairs * amps * LATENT_CHANNELS + beside

  def mirrored(self, seen: jax.Array) -> jax.Array:
    """Mirrors left to right what was computed once and kept, (B, h, w, C).

    Signed motion along x changes its sign. The rest is mirrored as it is, which is not
    exactly what the magnifier would make of mirrored frames.
    """
    other = jnp.flip(seen, axis=2)
    if self.reference != "signed":
      return other
    pairs = 1 + self.window_apex
    signs = np.ones(seen.shape[-1])
    signs[-2 * pairs :: 2] = -1
    return other * signs.astype(seen.dtype)

  def make_magnifier(self, *, dtype=None, rngs: nnx.Rngs) -> Magnifier | None:
    """Makes the magnifier that it needs, or None."""
    return Magnifier(dtype=dtype, rngs=rngs) if self.magnifies else None

  def stem(
    self, width: int, *, dtype=None, rngs: nnx.Rngs
  ) -> tuple[Callable[[jax.Array], jax.Array], int]:
    """Makes what comes before stage 1 and returns it with stage 1's input channels.

    Latents need no stem and pass as they are; what has the frames' size needs ResNet's.
    """
    *_, channels = self.shape(4)
    if not self.full_size:
      return _as_it_is, channels
    return resnet.Stem(width, channels, dtype=dtype, rngs=rngs), width


def local_contrast(a: jax.Array) -> jax.Array:
  """Computes an onset's texture without its light and contrast.

      c = a - mean(a),    n = c / sqrt(mean(c^2) + 0.1 <c^2>)

  by channel, with the mean over a square of 7 x 7 pixels of the latents around each and
  <c^2> over the whole face; of n the average of each 2 x 2 pixels.

  A motion m changes a by -(gradient of a) m, so it is the course of a from pixel to
  pixel that a difference has to be read against, and its sign above all. That course is
  kept. What else latents tell of a face is taken away: a constant by the first step, so
  that an instance normalisation before would change nothing; how strong its texture is
  by the second (beards, make-up, lamps). n is the same for s a + t, s > 0. The last
  term keeps noise on even skin from becoming texture. Where the texture is, who knows a
  face can still see.

  Args:
    a: latents of onsets, (B, h, w, C), h and w even.

  Returns:
    (B, h/2, w/2, C), about in [-3, 3].
  """
  x = a.astype(jnp.promote_types(a.dtype, jnp.float32))
  c = x - _local_mean(x)
  power = c * c
  whole = power.mean((1, 2), keepdims=True)
  n = c * jax.lax.rsqrt(_local_mean(power) + NOISE * whole + _tiny(x))
  return nnx.avg_pool(n, (2, 2), (2, 2)).astype(a.dtype)


def signed_motion(a: jax.Array, change: jax.Array) -> jax.Array:
  """Estimates which way, and how far, latents have moved, from how they have changed.

      m = -(sum g g^T + e I)^-1 (sum g d),    e = 0.1 <sum g g^T>

  d is the change, which for a small motion m is -g m in every channel, with g the
  gradient of a: its sign is in both factors and cancels, and so does contrast. The sums
  are over all channels of 6 x 6 pixels of the latents, 2 apart, and <> is the mean over
  the face of half the trace: without texture m is 0. These are the least squares of
  Lucas and Kanade (1981) for latents in place of grey levels. Nothing is rectified and
  pools are averages, since the sign is what matters.

  The change is to be that of the latents, magnified by a factor alone. What the
  manipulator makes of it means something to the decoder, and is not along g.

  Args:
    a: latents of onsets, (B, h, w, C), h and w even.
    change: of the latents, of the same shape.

  Returns:
    (B, h/2, w/2, 2): along x (to the right) and y (down), in pixels of the latents.
  """
  wide = jnp.promote_types(a.dtype, jnp.float32)
  x, d = a.astype(wide), change.astype(wide)
  gy, gx = jnp.gradient(x, axis=(1, 2))
  products = (gx * gx, gx * gy, gy * gy, gx * d, gy * d)
  sums = jnp.stack([product.sum(-1) for product in products], -1)
  sums = nnx.avg_pool(sums, (6, 6), (2, 2), ((2, 2), (2, 2)), count_include_pad=False)
  xx, xy, yy, xd, yd = jnp.moveaxis(sums, -1, 0)
  e = NOISE * (xx + yy).mean((1, 2), keepdims=True) / 2 + _tiny(x)
  xx, yy = xx + e, yy + e
  m = jnp.stack([xy * yd - yy * xd, xy * xd - xx * yd], -1)
  return (m / (xx * yy - xy * xy)[..., None]).astype(change.dtype)


def _local_mean(x):
  """Averages a square around each pixel, or what of it is inside."""
  for window in ((NEIGHBOURHOOD, 1), (1, NEIGHBOURHOOD)):
    x = nnx.avg_pool(x, window, padding="SAME", count_include_pad=False)
  return x


def _tiny(x):
  """What is added to sums of squares, so that what rounding leaves counts as 0."""
  return jnp.finfo(x.dtype).eps


def _beside(x, pairs):
  """Moves pairs of frames from the batch to the channels.

  (pairs * B, ..., C) -> (B, ..., pairs * C).
  """
  return jnp.concatenate(jnp.split(x, pairs), axis=-1)


def _split(x, count):
  return jnp.split(x, count) if count > 1 else [x]


def _as_it_is(x):
  return x
