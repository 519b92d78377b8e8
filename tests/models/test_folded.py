"""InfuseNet with its rotations multiplied into the weights beside them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.models.folded import FoldedInfuseNet
from infusenet_jax.models.infusenet import InfuseNet

WIDTH, SIZE = 4, 32


def drawn(infusion: str, infused: int) -> InfuseNet:
  """Rotations far from none at all, and statistics that are not 0 and 1."""
  model = InfuseNet(
    12, infusion=infusion, infused=infused, width=WIDTH, rngs=nnx.Rngs(0)
  )
  model.eval()
  graph, state = nnx.split(model)
  rng = np.random.default_rng(0)

  def draw(path, leaf):
    name = jax.tree_util.keystr(path)
    if "triangle" in name:
      return jnp.float32(rng.normal(0, 0.7, leaf.shape))
    if "mean" in name or "bias" in name:
      return jnp.float32(rng.normal(0, 0.1, leaf.shape))
    if "var" in name or "scale" in name:
      return jnp.float32(rng.uniform(0.5, 2, leaf.shape))
    return leaf

  return nnx.merge(graph, jax.tree_util.tree_map_with_path(draw, state))


def heads(model, flow, latents):
  return model.heads(flow, latents)


def products(model, *inputs) -> int:
  """Matrix products in it, given its rotations."""
  rotations = model.rotations()
  trace = jax.make_jaxpr(lambda *x: model.heads(*x, rotations=rotations))(*inputs)
  return str(trace).count(" dot_general[")


@pytest.mark.parametrize(
  ("infusion", "infused", "saved"),
  [
    pytest.param("unitary", 5, 5, marks=pytest.mark.slow),
    pytest.param("unitary", 3, 3, marks=pytest.mark.release),
    pytest.param("unitary", 0, 0, marks=pytest.mark.slow),
    pytest.param("published", 5, 0, marks=pytest.mark.release),
  ],
)
def test_it_computes_the_same_with_half_of_the_rotations(infusion, infused, saved):
  rng = np.random.default_rng(1)
  flow = rng.random((3, SIZE, SIZE, 3), np.float32)
  latents = rng.random((3, SIZE // 4, SIZE // 4, 64), np.float32)
  whole = drawn(infusion, infused)
  folded = FoldedInfuseNet(nnx.clone(whole))
  folded.eval()
  assert products(whole, flow, latents) - products(folded, flow, latents) == saved
  expected = nnx.jit(heads)(whole, flow, latents)
  found = nnx.jit(heads)(folded, flow, latents)
  for before, after in zip(expected, found, strict=True):
    assert np.std(before) > 1e-2
    np.testing.assert_allclose(after, before, atol=2e-5, rtol=2e-5)
