"""Where a network looks, as maps over the crop."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from infusenet_jax.clips.schema import GRID
from infusenet_jax.runtime.devices import over_batch, replicated
from infusenet_jax.training.engine.network import decide
from infusenet_jax.training.engine.steps import magnified_latents


@functools.lru_cache
def make_saliency(
  graph: nnx.GraphDef, mesh: Mesh, decide_by: str
) -> Callable[..., dict[str, jax.Array]]:
  """Compiles the maps of a network, (B, GRID, GRID) float32, not negative.

  The compiled function takes (weights, rotations, batch, chosen). With s the sum over
  AUs of chosen (B, 12) times the logits that decide, it returns "flow saliency" and
  "magnified saliency", the sum over channels of |ds/dx| for the flow and for what the
  magnified branch sees; "magnified input", of |x|; and for each stage k that infuses,
  "feature k", the sum over channels of the infused |features|, and "gate k", the mean
  of its gate. Smaller maps are interpolated.

  A published gate, which depends on the batch, mixes the clips of a batch a little.
  """

  def maps(weights, rotations, batch, chosen):
    model = nnx.merge(graph, *weights)
    model.eval()
    flow = batch["flow"].astype(jnp.float32)
    latents = magnified_latents(model, batch)
    if latents is not None:
      latents = latents.astype(jnp.float32)

    def score(flow, latents):
      heads = model.heads(flow, latents, rotations=rotations)
      return (chosen * decide(heads, model.head_names, decide_by)).sum()

    slopes = jax.grad(score, argnums=(0, 1))(flow, latents)
    found = {"flow saliency": jnp.abs(slopes[0]).sum(-1)}
    if latents is not None:
      found["magnified saliency"] = jnp.abs(slopes[1]).sum(-1)
      found["magnified input"] = jnp.abs(latents).sum(-1)
    stages = model.infused_stages(flow, latents, rotations=rotations)
    for number, (gate, features) in stages.items():
      found[f"feature {number}"] = jnp.abs(features).sum(-1)
      found[f"gate {number}"] = gate.mean(-1)
    return {name: _to_grid(x) for name, x in found.items()}

  whole, split = replicated(mesh), over_batch(mesh)
  in_shardings = (whole, whole, split, split)
  return jax.jit(maps, in_shardings=in_shardings, out_shardings=whole)


def _to_grid(x: jax.Array) -> jax.Array:
  return jax.image.resize(x.astype(jnp.float32), (len(x), GRID, GRID), "linear")
