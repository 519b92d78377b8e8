"""InfuseNet: magnified motion, infused with the context of optical flow.

Khor, Li, Jiang, Zhao: "Infused Suppression Of Magnification Artefacts For Micro-AU
Detection" (SCIA 2025, arXiv 2504.09326). `infusion="published", gate="batch"` is the
authors' network; the default replaces its infusion with a unitary one and makes the
prediction of a clip independent of its batch.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from infusenet_jax.models import lowering, resnet
from infusenet_jax.models.infusion import (
  FlowContextGate,
  PublishedInfusion,
  UnitaryInfusion,
)
from infusenet_jax.models.magnifier import LATENT_CHANNELS, Magnifier

INFUSIONS = ("unitary", "published")


class InfuseNet(nnx.Module):
  """Two ResNet-18 branches, one of flow and one of magnified differences.

  After each stage, and once more after pooling, the magnified features are infused
  with the flow features: gated by them, in a learned basis if `infusion="unitary"`.
  Both branches share one linear head. `train()` and `eval()` switch between batch
  and running statistics.

  Args:
    num_aus: outputs A, one per action unit.
    infusion: "unitary" or "published".
    gate: "clip" or "batch", what the gate's minimum and maximum are taken over.
    width: channels of stage 1, even; 64 is ResNet-18.
    amp: magnification factor.
    dtype: of the computation; parameters, statistics and logits stay float32.
    rngs: initialises the parameters.

  Raises:
    ValueError: infusion or gate is none of the above.
  """

  def __init__(
    self,
    num_aus: int = 12,
    *,
    infusion: str = "unitary",
    gate: str = "clip",
    width: int = 64,
    amp: float = 10.0,
    dtype=None,
    rngs: nnx.Rngs,
  ):
    if infusion not in INFUSIONS:
      raise ValueError(
        f"infusion is {infusion!r}, expected one of {', '.join(INFUSIONS)}"
      )
    self.amp = amp
    self.magnifier = Magnifier(dtype=dtype, rngs=rngs)
    self.flow_stem = resnet.Stem(width, dtype=dtype, rngs=rngs)
    self.flow_stages = resnet.stages(width, width, dtype=dtype, rngs=rngs)
    self.magnified_stages = resnet.stages(
      2 * LATENT_CHANNELS, width, dtype=dtype, rngs=rngs
    )
    self.gate = FlowContextGate(over=gate)
    self.infusions = nnx.List(
      UnitaryInfusion(width * scale) if infusion == "unitary" else PublishedInfusion()
      for scale in (1, 2, 4, 8, 8)
    )
    # PyTorch's default for linear layers: U(-b, b) with b = 1 / sqrt(fan in).
    bound = (8 * width) ** -0.5
    uniform = lambda key, shape, dtype, **_: jax.random.uniform(  # noqa: E731
      key, shape, dtype, -bound, bound
    )
    self.head = nnx.Linear(
      8 * width, num_aus, kernel_init=uniform, bias_init=uniform, rngs=rngs
    )

  def __call__(
    self,
    flow: jax.Array,
    onset: jax.Array,
    apex: jax.Array,
    window_apex: jax.Array,
    *,
    rotations=None,
  ) -> tuple[jax.Array, jax.Array]:
    """Logits of both branches.

    Args:
      flow: (B, H, W, 3), horizontal flow, vertical flow and strain, each min-max
        scaled to [0, 1] per clip.
      onset, apex, window_apex: (B, H, W, 3) in [-1, 1].
      rotations: what `rotations()` returned; computed here if left out.

    Returns:
      (flow logits, magnified logits), (B, A) each.
    """
    latents = self.magnified_latents(onset, apex, window_apex)
    return self.classify(flow, latents, rotations=rotations)

  def magnified_latents(
    self, onset: jax.Array, apex: jax.Array, window_apex: jax.Array
  ) -> jax.Array:
    """Magnified differences of both pairs after ReLU and max-pool.

    All that the magnifier contributes, so a frozen one's can be kept per clip.

    Args:
      onset, apex, window_apex: (B, H, W, 3) in [-1, 1].

    Returns:
      (B, H/4, W/4, 64), not negative.
    """
    frames = jnp.concatenate([onset, apex, window_apex])
    a, b, c = jnp.split(self.magnifier.encoder(frames), 3)
    d = self.magnifier.manipulator(
      jnp.concatenate([a, a]), jnp.concatenate([b, c]), self.amp
    )
    latents = jnp.concatenate(jnp.split(d, 2), axis=-1)
    return lowering.max_pool(nnx.relu(latents))

  def classify(
    self, flow: jax.Array, latents: jax.Array, *, rotations=None
  ) -> tuple[jax.Array, jax.Array]:
    """Logits from flow (B, H, W, 3) and `magnified_latents`; see `__call__`."""
    return tuple(
      self.head(x) for x in self.pooled_features(flow, latents, rotations=rotations)
    )

  def pooled_features(
    self, flow: jax.Array, latents: jax.Array, *, rotations=None
  ) -> tuple[jax.Array, jax.Array]:
    """What enters the head: flow features and infused magnified ones, (B, 8 width)."""
    *stage_rotations, pooled_rotation = rotations or self.rotations()
    *stage_infusions, pooled_infusion = self.infusions
    x, m = self.flow_stem(flow), latents
    for flow_stage, magnified_stage, infuse, rotation in zip(
      self.flow_stages,
      self.magnified_stages,
      stage_infusions,
      stage_rotations,
      strict=True,
    ):
      x = flow_stage(x)
      m = infuse(magnified_stage(m), self.gate(x), rotation)
    x, m = (_global_average(y) for y in (x, m))
    return x, pooled_infusion(m, self.gate(x), pooled_rotation)

  def rotations(self) -> tuple[jax.Array | None, ...]:
    """The infusions' orthogonal matrices, stage 1 to 4 and pooled.

    They depend on the parameters alone: for inference compute them once and pass
    them to every call.
    """
    return tuple(infusion.rotation() for infusion in self.infusions)


def _global_average(x: jax.Array) -> jax.Array:
  return jnp.mean(x.astype(jnp.promote_types(x.dtype, jnp.float32)), axis=(1, 2))
