import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from infusenet_jax.models.baselines import BASELINES


def flow_of(batch, size, seed=0):
  return jnp.asarray(np.random.default_rng(seed).random((batch, size, size, 3)), "f")


# Counted by hand: weights + biases + 2 per channel of batch normalisation.
PARAMETERS = {
  "sssnet": (5 * 5 * 3 * 32 + 32 + 64)
  + (3 * 3 * 32 * 64 + 64 + 128)
  + (9 * 9 * 64 * 256 + 256)
  + (256 * 12 + 12),
  "ststnet": (3 * 3 * 3 + 1 + 2) * (3 + 5 + 8) + (5 * 5 * 16 * 12 + 12),
  "off_apexnet": 2 * ((3 * 3 * 6 + 6) + (3 * 3 * 6 * 16 + 16))
  + (2 * 7 * 7 * 16 * 1024 + 1024)
  + (1024 * 12 + 12),
  # torchvision's 11,689,512 with a head of 12 instead of 1000.
  "resnet18": 11_689_512 - (512 * 1000 + 1000) + (512 * 12 + 12),
}


def test_off_apexnet_as_benchmarked_has_one_stream():
  model = nnx.eval_shape(lambda: BASELINES["off_apexnet"](streams=1, rngs=nnx.Rngs(0)))
  count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
  assert count == 817_134
  with pytest.raises(ValueError, match="streams is 3, expected 1 or 2"):
    BASELINES["off_apexnet"](streams=3, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("name", BASELINES)
def test_shapes_and_parameters(name):
  model = nnx.eval_shape(lambda: BASELINES[name](rngs=nnx.Rngs(0)))
  count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
  assert count == PARAMETERS[name]
  model.eval()
  for size in (model.size, 50):
    (logits,) = nnx.eval_shape(lambda m, x: m(x), model, flow_of(3, size))
    assert logits.shape == (3, 12)


@pytest.mark.parametrize("name", ["sssnet", "off_apexnet"])
def test_a_clips_logits_do_not_depend_on_the_others(name):
  model = BASELINES[name](num_aus=5, rngs=nnx.Rngs(0))
  model.eval()
  logits_of = nnx.jit(lambda model, flow: model(flow)[0])
  flow, other = flow_of(2, 40), flow_of(2, 40, seed=1)
  logits = logits_of(model, flow)
  assert logits.shape == (2, 5)
  np.testing.assert_array_equal(
    logits_of(model, other.at[0].set(flow[0]))[0], logits[0]
  )


def test_sssnet_drops_whole_channels():
  model = BASELINES["sssnet"](rngs=nnx.Rngs(0))
  model.train()
  features = nnx.jit(lambda model, flow: model.features(flow))(model, flow_of(2, 64))
  kept = np.asarray(features != 0).any(axis=(1, 2))
  assert 0.3 < kept.mean() < 0.7


@pytest.mark.parametrize("streams", [1, 2])
def test_off_apexnet_ignores_strain(streams):
  model = BASELINES["off_apexnet"](streams=streams, rngs=nnx.Rngs(0))
  model.eval()
  logits_of = nnx.jit(lambda model, flow: model(flow)[0])
  flow = flow_of(2, 28)
  np.testing.assert_array_equal(
    logits_of(model, flow), logits_of(model, flow.at[..., 2].set(0))
  )


@pytest.mark.parametrize(
  "name",
  [
    "off_apexnet",
    pytest.param("ststnet", marks=pytest.mark.slow),
    pytest.param("sssnet", marks=pytest.mark.slow),
    pytest.param("resnet18", marks=pytest.mark.slow),
  ],
)
def test_training_reduces_the_loss(name):
  """On clips whose AUs are the signs of the flow in a part of the image each."""
  rngs = nnx.Rngs(0)
  narrow = {"width": 4} if name == "resnet18" else {}
  model = BASELINES[name](num_aus=2, rngs=rngs, **narrow)
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 2, (16, 2)).astype("f")
  flow = rng.random((16, 28, 28, 3)).astype("f") * 0.2
  flow[:, :14, :, 0] += 0.8 * labels[:, 0, None, None]
  flow[:, 14:, :, 1] += 0.8 * labels[:, 1, None, None]
  model.train()
  graph, *weights = nnx.split(model, nnx.Param, ...)
  optimizer = optax.adam(3e-3)

  def loss_of(params, rest):
    model = nnx.merge(graph, params, rest, copy=True)
    loss = optax.sigmoid_binary_cross_entropy(model(flow)[0], labels).mean()
    return loss, nnx.split(model, nnx.Param, ...)[2]

  @jax.jit
  def train_step(params, rest, state):
    (loss, rest), grads = jax.value_and_grad(loss_of, has_aux=True)(params, rest)
    updates, state = optimizer.update(grads, state)
    return loss, (optax.apply_updates(params, updates), rest, state)

  losses, weights = [], (*weights, optimizer.init(weights[0]))
  for _ in range(25):
    loss, weights = train_step(*weights)
    losses.append(float(loss))
  assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])
