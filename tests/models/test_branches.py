import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.models import resnet
from infusenet_jax.models.baselines import FlowResNet18
from infusenet_jax.models.branches import (
  Concatenated,
  ConcatenatedInput,
  FlowBranch,
  MagnifiedBranch,
)

SMALL = {"num_aus": 5, "width": 4}
call = nnx.jit(lambda model, *inputs: model(*inputs))


def clips(count=3, size=32, seed=0):
  flow, *frames = jax.random.uniform(jax.random.key(seed), (4, count, size, size, 3))
  return flow, *(2 * frame - 1 for frame in frames)


def logits_of(model, *inputs):
  (logits,) = call(model, *inputs)
  return logits


@pytest.mark.parametrize(
  "network, magnified",
  [
    (MagnifiedBranch, "latents"),
    pytest.param(Concatenated, "reconstructed", marks=pytest.mark.slow),
  ],
)
def test_the_prediction_of_a_clip_does_not_depend_on_its_batch(network, magnified):
  model = network(**SMALL, magnified=magnified, rngs=nnx.Rngs(0))
  model.eval()
  inputs, others = clips(), clips(seed=1)
  together = logits_of(model, *inputs)
  assert together.shape == (3, 5)
  mixed = [other.at[0].set(x[0]) for x, other in zip(inputs, others, strict=True)]
  np.testing.assert_allclose(logits_of(model, *mixed)[0], together[0], atol=1e-5)


@pytest.mark.slow
def test_concatenated_is_one_linear_layer_on_both_branches_features():
  model = Concatenated(**SMALL, rngs=nnx.Rngs(0))
  model.eval()

  @nnx.jit
  def by_hand(model, flow, *frames):
    x = resnet.pooled(model.flow_stages, model.flow_stem(flow))
    m = model.magnified_latents(*frames)
    m = resnet.pooled(model.magnified_stages, m)
    kernel = model.head.kernel[...]
    half = len(kernel) // 2
    return x @ kernel[:half] + m @ kernel[half:] + model.head.bias[...]

  expected = by_hand(model, *clips())
  np.testing.assert_allclose(logits_of(model, *clips()), expected, atol=1e-5)


def test_the_magnified_branch_alone_does_not_look_at_the_flow():
  model = MagnifiedBranch(**SMALL, rngs=nnx.Rngs(0))
  flow, *frames = clips()
  np.testing.assert_array_equal(
    logits_of(model, flow, *frames), logits_of(model, jnp.nan * flow, *frames)
  )


def test_one_image_of_flow_and_differences_is_looked_at_as_by_hand():
  model = ConcatenatedInput(**SMALL, magnified="difference", rngs=nnx.Rngs(0))
  model.eval()
  assert model.magnifier is None

  @nnx.jit
  def by_hand(model, flow, onset, apex, window_apex):
    image = jnp.concatenate([flow, apex - onset, window_apex - onset], -1)
    return model.head(resnet.pooled(model.stages, model.stem(image)))

  expected = by_hand(model, *clips())
  np.testing.assert_allclose(logits_of(model, *clips()), expected, atol=1e-5)


def test_latents_and_flow_make_no_one_image():
  with pytest.raises(ValueError, match="'latents', which are smaller than the flow"):
    ConcatenatedInput(**SMALL, rngs=nnx.Rngs(0))


@pytest.mark.release
def test_gradients_reach_both_branches_and_all_that_magnifies():
  model = Concatenated(**SMALL, magnified="reconstructed", rngs=nnx.Rngs(0))
  model.train()
  inputs = clips(2)

  @nnx.jit
  def gradients(model):
    return nnx.grad(lambda model: (model(*inputs)[0] ** 2).sum())(model)

  found = gradients(model)
  magnifier = found.pop("magnifier")
  for part, of in (*found.items(), *magnifier.items()):
    assert any(jnp.any(x != 0) for x in jax.tree.leaves(of)), part


@pytest.mark.slow
def test_resnet18_on_flow_is_the_flow_branch_at_112_px_at_most():
  branch, baseline = (
    network(**SMALL, rngs=nnx.Rngs(0)) for network in (FlowBranch, FlowResNet18)
  )
  for model in (branch, baseline):
    model.eval()
  small, large = (
    jax.random.uniform(jax.random.key(0), (1, s, s, 3)) for s in (64, 224)
  )
  np.testing.assert_array_equal(call(branch, small), call(baseline, small))
  smaller = jax.image.resize(large, (1, 112, 112, 3), "linear")
  np.testing.assert_allclose(call(branch, smaller), call(baseline, large), atol=1e-5)
