"""Where a network looks, as maps over the crop."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from infusenet_jax.clips.records import FRAMES
from infusenet_jax.clips.schema import GRID
from infusenet_jax.models.infusion import NoInfusion
from infusenet_jax.runtime.devices import over_batch, replicated
from infusenet_jax.training.engine.steps import classify, scale_frame


@functools.lru_cache
def make_evidence(
  graph: nnx.GraphDef, mesh: Mesh, decide_by: str
) -> Callable[..., dict[str, jax.Array]]:
  """Compiles the maps of a model, (B, GRID, GRID) float32, not negative.

  The compiled function takes (params, frozen, rest, rotations, batch, chosen). With s
  the sum over AUs of chosen (B, 12) times the logits that decide, it returns
  "flow saliency" and "magnified saliency", the sum over channels of |ds/dx| for the
  flow and for what the magnified branch sees; "magnified input", of |x|; and of an
  InfuseNet, for each infused stage k, "feature k", the sum over channels of the
  infused |features|, and "gate k", the mean of its gate. Smaller maps are interpolated.

  A published gate, which depends on the batch, mixes the clips of a batch a little.
  """

  def maps(params, frozen, rest, rotations, batch, chosen):
    model = nnx.merge(graph, params, frozen, rest)
    model.eval()
    seen = {"flow": batch["flow"].astype(jnp.float32)}
    if "latents" in batch:
      seen["latents"] = batch["latents"].astype(jnp.float32)
    elif "onset" in batch:
      frames = (scale_frame(batch[name]) for name in FRAMES)
      seen["latents"] = model.magnified_latents(*frames).astype(jnp.float32)

    def score(seen):
      heads = classify(model, seen, rotations)
      return (chosen * _deciding(heads, decide_by)).sum()

    slopes = jax.grad(score)(seen)
    found = {"flow saliency": jnp.abs(slopes["flow"]).sum(-1)}
    if "latents" in seen:
      found["magnified saliency"] = jnp.abs(slopes["latents"]).sum(-1)
      found["magnified input"] = jnp.abs(seen["latents"]).sum(-1)
    if hasattr(model, "stage_features"):
      stages = model.stage_features(**seen, rotations=rotations)
      for number, (_, gate, feature) in enumerate(stages, 1):
        if not isinstance(model.infusions[number - 1], NoInfusion):
          found[f"feature {number}"] = jnp.abs(feature).sum(-1)
          found[f"gate {number}"] = gate.mean(-1)
    return {name: _to_grid(x) for name, x in found.items()}

  whole, split = replicated(mesh), over_batch(mesh)
  in_shardings = (whole, whole, whole, whole, split, split)
  return jax.jit(maps, in_shardings=in_shardings, out_shardings=whole)


def _deciding(heads: tuple[jax.Array, ...], decide_by: str) -> jax.Array:
  """The logits that decide, as in `fold.predict`."""
  if decide_by == "both" or len(heads) == 1:
    return sum(heads) / len(heads)
  return heads[("flow", "magnified").index(decide_by)]


def _to_grid(x: jax.Array) -> jax.Array:
  return jax.image.resize(x.astype(jnp.float32), (len(x), GRID, GRID), "linear")
