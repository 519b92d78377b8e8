"""Computes where a network looks, as maps over the crop."""

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
  """Compiles the maps of a network.

  The compiled function takes (weights, rotations, batch, chosen), where chosen (B, 12)
  is 1 for the AUs that the maps are for. It returns maps by name, (B, GRID, GRID)
  float32, not negative, interpolated to that size. With s the sum of the chosen
  deciding logits and x the flow or what the magnified branch sees, the names are
    "flow saliency", "magnified saliency": the sum over channels of |ds/dx|;
    "magnified input": the sum over channels of |x|;
    "feature k": the sum over channels of the infused |features| of stage k;
    "gate k": the mean over channels of the gate of stage k.

  With the published gate, which depends on the whole batch, the maps of a clip depend a
  little on the other clips.
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
