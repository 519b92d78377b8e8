"""InfuseNet: magnified motion, infused with the context of optical flow.

Khor, Li, Jiang, Zhao: "Infused Suppression Of Magnification Artefacts For Micro-AU
Detection" (SCIA 2025, arXiv 2504.09326). `infusion="published", gate="batch"` is the
authors' network; the default replaces its infusion with a unitary one and makes the
prediction of a clip independent of its batch.
"""

import jax
from flax import nnx

from infusenet_jax.models import resnet
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.models.infusion import (
  FlowContextGate,
  NoInfusion,
  PublishedInfusion,
  UnitaryInfusion,
  rotations_of,
)
from infusenet_jax.models.magnified_input import MagnifiedInput

INFUSIONS = ("unitary", "published")
PLACES = 5


class InfuseNet(Classifier):
  """Two ResNet-18 branches, one of flow and one of magnified differences.

  After each stage, and once more after pooling, the magnified features are infused
  with the flow features: gated by them, in a learned basis if `infusion="unitary"`.
  Both branches share one linear head. `train()` and `eval()` switch between batch
  and running statistics.

  Args:
    num_aus: outputs A, one per action unit.
    infusion: "unitary" or "published".
    gate: "clip" or "batch": what the gate's minimum and maximum are taken over.
    detached: whether gates take the flow features as constants in training, so that the
      flow branch learns from its own logits alone, as it would without the other.
    infused: in how many of the five places there is infusion, counted from the first:
      stage 1, 2, 3, 4, pooled. In the others the magnified features pass unchanged.
    width: channels of stage 1, even; 64 is ResNet-18.
    dtype: of the computation; parameters, statistics and logits stay float32.
    rngs: initialises the parameters.
    **seen: what the magnified branch sees, by the attributes of `MagnifiedInput`; the
      published network magnifies tenfold and sees the latents of both apexes.

  Raises:
    ValueError: infusion, gate or what is seen is none of the above.
  """

  head_names = ("flow", "magnified")

  def __init__(
    self,
    num_aus: int = 12,
    *,
    infusion: str = "unitary",
    gate: str = "clip",
    detached: bool = False,
    infused: int = PLACES,
    width: int = 64,
    dtype=None,
    rngs: nnx.Rngs,
    **seen,
  ):
    if infusion not in INFUSIONS:
      raise ValueError(
        f"infusion is {infusion!r}, expected one of {', '.join(INFUSIONS)}"
      )
    self.magnified = MagnifiedInput(**seen)
    self.magnifier = self.magnified.make_magnifier(dtype=dtype, rngs=rngs)
    self.flow_stem = resnet.Stem(width, dtype=dtype, rngs=rngs)
    self.flow_stages = resnet.stages(width, width, dtype=dtype, rngs=rngs)
    self.magnified_stem, channels = self.magnified.stem(width, dtype=dtype, rngs=rngs)
    self.magnified_stages = resnet.stages(channels, width, dtype=dtype, rngs=rngs)
    self.gate = FlowContextGate(over=gate, detached=detached)
    self.infusions = nnx.List(
      _infusion(infusion if place < infused else None, width * scale)
      for place, scale in enumerate((1, 2, 4, 8, 8))
    )
    self.head = resnet.linear(8 * width, num_aus, rngs=rngs)

  def pooled_features(
    self, flow: jax.Array, latents: jax.Array, *, rotations=None
  ) -> tuple[jax.Array, jax.Array]:
    """Computes the head's inputs: flow and infused magnified features, (B, 8 width)."""
    rotations = rotations or self.rotations()
    x, _, m = self.stage_features(flow, latents, rotations=rotations)[-1]
    x, m = (resnet.global_average(y) for y in (x, m))
    return x, self.infusions[-1](m, self.gate(x), rotations[-1])

  def stage_features(
    self, flow: jax.Array, latents: jax.Array, *, rotations=None
  ) -> list[tuple[jax.Array, jax.Array, jax.Array]]:
    """Computes flow features, their gate and infused features of each stage."""
    *stage_rotations, _ = rotations or self.rotations()
    *stage_infusions, _ = self.infusions
    x, m = self.flow_stem(flow), self.magnified_stem(latents)
    features = []
    for flow_stage, magnified_stage, infuse, rotation in zip(
      self.flow_stages,
      self.magnified_stages,
      stage_infusions,
      stage_rotations,
      strict=True,
    ):
      x = flow_stage(x)
      gate = self.gate(x)
      m = infuse(magnified_stage(m), gate, rotation)
      features.append((x, gate, m))
    return features

  def infused_stages(
    self,
    flow: jax.Array,
    latents: jax.Array,
    *,
    rotations: tuple | None = None,
  ) -> dict[int, tuple[jax.Array, jax.Array]]:
    stages = self.stage_features(flow, latents, rotations=rotations)
    return {
      number: (gate, infused)
      for number, (_, gate, infused) in enumerate(stages, start=1)
      if not isinstance(self.infusions[number - 1], NoInfusion)
    }

  def rotations(self) -> tuple[jax.Array | None, ...]:
    """Computes the orthogonal matrices of the five infusions: stage 1 to 4, pooled."""
    return rotations_of(self.infusions)


def _infusion(kind: str | None, features: int) -> nnx.Module:
  if kind is None:
    return NoInfusion()
  return UnitaryInfusion(features) if kind == "unitary" else PublishedInfusion()
