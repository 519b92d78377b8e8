"""Where a network looks: gradients with known answers, maps of every stage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.schema import GRID
from infusenet_jax.models.baselines import STSTNet
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.models.infusenet import InfuseNet
from infusenet_jax.models.magnified_input import MagnifiedInput
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.training.engine.saliency import make_saliency


class Linear(Classifier):
  """Both heads weigh their input by known weights and sum it up."""

  head_names = ("flow", "magnified")
  magnified = MagnifiedInput()

  def __init__(self):
    rng = np.random.default_rng(1)
    self.flow = nnx.Param(jnp.asarray(rng.normal(size=(32, 32, 3, 12)), jnp.float32))
    self.latents = nnx.Param(jnp.asarray(rng.normal(size=(8, 8, 64, 12)), jnp.float32))

  def heads(self, flow, latents, *, rotations=None):
    heads = ((flow, self.flow), (latents, self.latents))
    return tuple(jnp.einsum("bhwc,hwca->ba", x, w[...]) for x, w in heads)


def _maps(model, batch, chosen, decide_by="both"):
  mesh = device_mesh(1)
  graph, params, rest = nnx.split(model, nnx.Param, ...)
  weights = (params, nnx.State({}), rest)
  saliency = make_saliency(graph, mesh, decide_by)
  return saliency(weights, model.rotations(), batch, chosen)


def _batch(seed: int = 0) -> dict:
  rng = np.random.default_rng(seed)
  return {
    "flow": rng.random((1, 32, 32, 3)).astype(np.float16),
    "latents": np.abs(rng.normal(size=(1, 8, 8, 64))).astype(np.float32),
    "labels": np.zeros((1, 12), np.uint8),
  }


def _chosen(place: int) -> np.ndarray:
  return np.eye(len(AUS), dtype=np.float32)[None, place]


@pytest.mark.parametrize(
  "decide_by, flow, magnified",
  [("both", 0.5, 0.5), ("flow", 1, 0), ("magnified", 0, 1)],
)
def test_saliency_is_the_gradient_of_the_logit_that_decides(decide_by, flow, magnified):
  model = Linear()
  found = _maps(model, _batch(), _chosen(3), decide_by)
  assert all(x.shape == (1, GRID, GRID) for x in found.values())
  shares = {"flow": (flow, model.flow), "magnified": (magnified, model.latents)}
  for name, (share, weights) in shares.items():
    slope = share * np.abs(weights[...])[None, ..., 3].sum(-1)
    expected = jax.image.resize(slope, (1, GRID, GRID), "linear")
    np.testing.assert_allclose(found[f"{name} saliency"], expected, atol=1e-4)


@pytest.mark.slow
def test_each_infused_stage_of_infusenet_has_its_maps():
  model = InfuseNet(width=2, infused=2, rngs=nnx.Rngs(0))
  found = _maps(model, _batch(), _chosen(0))
  stages = {name for name in found if name[-1].isdigit()}
  assert stages == {"feature 1", "feature 2", "gate 1", "gate 2"}
  assert all(found[name].max() > 0 for name in found)
  assert found["gate 1"].max() <= 1


def test_a_network_of_flow_alone_has_flow_saliency_alone():
  model = STSTNet(12, rngs=nnx.Rngs(0))
  batch = {name: x for name, x in _batch().items() if name != "latents"}
  found = _maps(model, batch, _chosen(0))
  assert list(found) == ["flow saliency"]
