import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from infusenet_jax.models.infusion import (
  FlowContextGate,
  PublishedInfusion,
  UnitaryInfusion,
  cayley,
  rotations_of,
  skew,
  turns_needed,
)

few = settings(deadline=None, max_examples=10)
seeds = st.integers(0, 2**31 - 1)
even_channels = st.sampled_from([2, 16])


def _triangle(seed, channels, norm):
  """A random skew-symmetric matrix of that spectral norm, folded."""
  triangle = jax.random.normal(jax.random.key(seed), (channels // 2, channels - 1))
  return triangle * (norm / np.linalg.norm(skew(triangle), 2))


def _infusion(seed, channels, norm):
  infusion = UnitaryInfusion(channels)
  infusion.triangle[...] = _triangle(seed, channels, norm)
  return infusion


def _orthogonality(q):
  q = np.asarray(q, np.float64)
  return np.abs(q.T @ q - np.eye(len(q))).max()


def _cayley_of_accelerators(a):
  """With every turn, as GPUs and TPUs compute it."""
  with mock.patch(
    "infusenet_jax.models.infusion.lax.platform_dependent",
    lambda *x, cpu, default: default(*x),
  ):
    return cayley(a)


everywhere = pytest.mark.parametrize(
  "cayley", [cayley, _cayley_of_accelerators], ids=["cpu", "accelerators"]
)


def _defined(a):
  """(I - A)(I + A)^{-1} in float64."""
  a, eye = np.asarray(a, np.float64), np.eye(a.shape[-1])
  return np.linalg.solve(eye + a, eye - a)


@pytest.mark.parametrize("channels", [2, 4, 10])
def test_skew_uses_each_parameter_once_above_and_once_below_the_diagonal(channels):
  count = channels * (channels - 1) // 2
  triangle = 1 + jnp.arange(count, dtype=jnp.float32).reshape(channels // 2, -1)
  a = np.asarray(skew(triangle))
  np.testing.assert_array_equal(a, -a.T)
  upper = a[np.triu_indices(channels, 1)]
  np.testing.assert_array_equal(np.sort(upper), 1 + np.arange(count))


@everywhere
@few
@given(seeds, even_channels, st.floats(-3, 3))
def test_cayley_is_orthogonal_and_solves_its_definition(
  cayley, seed, channels, log_norm
):
  a = skew(_triangle(seed, channels, 10**log_norm))
  q = cayley(a)
  assert _orthogonality(q) < 3e-6
  np.testing.assert_allclose(q, _defined(a), atol=1e-6 * max(1, 10 ** (log_norm / 2)))


@everywhere
@pytest.mark.parametrize("norm", [0, 1e-3, 3e-2, 1.0, 30.0, 1e3])
def test_cayley_of_the_widest_stage_is_orthogonal(cayley, norm):
  a = norm * skew(_triangle(0, 512, 1))
  # One plane turns far, all others little: entries near 1 beside very small ones.
  plane = (a * 3e-3).at[0, 1].set(norm).at[1, 0].set(-norm)
  q = cayley(jnp.stack([a, plane]))
  assert max(map(_orthogonality, q)) <= 3e-6
  np.testing.assert_allclose(q, np.stack([_defined(a), _defined(plane)]), atol=1e-5)


@pytest.mark.parametrize("channels, turns", [(2, 10), (64, 11), (512, 12)])
def test_so_many_turns_suffice_for_the_worst_matrix_of_norm_1000(channels, turns):
  """All singular values of I - A alike but one plane's: the bound is at its loosest."""
  assert turns_needed(channels, jnp.float32) == turns
  # ||M^T M||_1 <= sqrt(C) ||M||^2 and both ends of the spectrum are there.
  low = 1 / (channels**0.25 * np.sqrt(1 + 1e6))
  values = np.geomspace(low, 1, 1000)
  for _ in range(turns):
    scale = np.sqrt(3 / (1 + low + low**2))
    values, low = (x * scale * (3 - (x * scale) ** 2) / 2 for x in (values, low))
    assert values.max() <= 1 + 1e-12 and values.min() >= low - 1e-12
  # The step on U^2 leaves the square of what is missing.
  assert (1 - low) ** 2 <= np.finfo(np.float32).eps


@everywhere
@pytest.mark.parametrize("norm", [1e4, 1e6])
def test_beyond_its_range_it_does_not_lengthen_anything(cayley, norm):
  q = cayley(skew(_triangle(0, 16, norm)))
  assert np.linalg.norm(np.asarray(q, np.float64), 2) <= 1 + 1e-6


@everywhere
def test_cayley_of_zero_is_exactly_the_identity(cayley):
  np.testing.assert_array_equal(cayley(jnp.zeros((64, 64))), np.eye(64))


@everywhere
@pytest.mark.parametrize("norm", [1e-2, 1.0, 30.0, 1e3])
def test_the_derivative_of_cayley_is_that_of_its_definition(cayley, norm):
  a, da = (skew(_triangle(seed, 16, norm)) for seed in (0, 1))
  _, dq = jax.jvp(cayley, (a,), (da,))
  inverse = np.linalg.inv(np.eye(16) + np.asarray(a, np.float64))
  expected = -(np.eye(16) + _defined(a)) @ np.asarray(da, np.float64) @ inverse
  np.testing.assert_allclose(dq, expected, atol=3e-6 * (1 + norm))


def test_rotations_of_one_size_come_from_the_same_products_in_their_order():
  infusions = [_infusion(seed, n, 2.0) for seed, n in enumerate([4, 8, 4])]
  infusions.insert(1, PublishedInfusion())
  found = rotations_of(infusions)
  assert found[1] is None
  for q, infusion in zip(found, infusions, strict=True):
    if q is not None:
      np.testing.assert_allclose(q, infusion.rotation(), atol=1e-6)
  jaxpr = str(jax.make_jaxpr(lambda: rotations_of(infusions))())
  assert jaxpr.count("custom_jvp_call") == 2


def test_cayley_stays_orthogonal_after_a_thousand_optimiser_steps():
  target = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (16, 16)))[0]
  optimizer = optax.adam(0.1)

  def step(_, carry):
    triangle, opt_state = carry
    loss = lambda t: jnp.sum((cayley(skew(t)) - target) ** 2)  # noqa: E731
    updates, opt_state = optimizer.update(jax.grad(loss)(triangle), opt_state)
    return optax.apply_updates(triangle, updates), opt_state

  triangle = jnp.zeros((8, 15))
  carry = (triangle, optimizer.init(triangle))
  triangle, _ = jax.lax.fori_loop(0, 1000, step, carry)
  assert np.linalg.norm(triangle) > 1
  assert _orthogonality(cayley(skew(triangle))) < 1e-5


@settings(deadline=None, max_examples=4)
@given(seeds, st.floats(-1, 2))
def test_the_gradient_agrees_with_finite_differences(seed, log_norm):
  channels = 4
  with jax.enable_x64(True):
    triangle = jnp.asarray(_triangle(seed, channels, 10**log_norm), jnp.float64)
    x, g = jax.random.uniform(jax.random.key(seed), (2, 2, 3, 3, channels))

    def infuse(triangle, x, g):
      infusion = UnitaryInfusion(channels)
      return infusion(x, FlowContextGate()(g), cayley(skew(triangle)))

    check_grads(
      jax.jit(infuse), (triangle, x, g), order=1, modes=("fwd", "rev"), eps=1e-6
    )


@few
@given(seeds, even_channels, st.floats(-3, 3))
def test_infusion_never_lengthens_a_pixel(seed, channels, log_norm):
  infusion = _infusion(seed, channels, 10**log_norm)
  x = jax.random.normal(jax.random.key(seed), (2, 3, 3, channels))
  g = jax.random.uniform(jax.random.key(seed + 1), x.shape)
  before = np.linalg.norm(x, axis=-1)
  assert (np.linalg.norm(infusion(x, g), axis=-1) <= before * (1 + 1e-5)).all()


@few
@given(seeds, even_channels, st.floats(-3, 3))
def test_an_open_gate_is_the_identity(seed, channels, log_norm):
  infusion = _infusion(seed, channels, 10**log_norm)
  x = jax.random.normal(jax.random.key(seed), (2, 3, 3, channels))
  np.testing.assert_allclose(infusion(x, jnp.ones_like(x)), x, atol=3e-5)


@few
@given(seeds, even_channels, st.sampled_from(["clip", "batch"]))
def test_it_starts_as_the_published_infusion_bit_for_bit(seed, channels, over):
  x, flow = jax.random.normal(jax.random.key(seed), (2, 3, 4, 4, channels))
  g = FlowContextGate(over)(flow)
  expected = PublishedInfusion()(x, g)
  np.testing.assert_array_equal(UnitaryInfusion(channels)(x, g), expected)


def test_an_odd_channel_count_is_refused():
  with pytest.raises(ValueError, match="even channel count, got 5"):
    UnitaryInfusion(5)


@few
@given(
  seeds, st.sampled_from([(3, 8), (3, 4, 4, 8)]), st.sampled_from(["clip", "batch"])
)
def test_the_gate_spans_zero_to_one(seed, shape, over):
  x = 5 * jax.random.normal(jax.random.key(seed), shape)
  gate = FlowContextGate(over)(x)
  groups = [gate] if over == "batch" else list(gate)
  for group in groups:
    assert group.min() == 0 and group.max() == pytest.approx(1, abs=1e-6)
  unit = (x - x.min()) / (x.max() - x.min())
  if over == "batch":
    np.testing.assert_allclose(gate, unit, atol=1e-6)


@few
@given(seeds)
def test_the_gate_per_clip_ignores_batch_mates(seed):
  x = jax.random.normal(jax.random.key(seed), (4, 3, 3, 8))
  gate = FlowContextGate("clip")
  np.testing.assert_array_equal(gate(x)[1:2], gate(x[1:2]))


@few
@given(st.floats(-1e4, 1e4), st.sampled_from(["clip", "batch"]), seeds)
def test_a_constant_tensor_closes_the_gate_with_finite_gradients(value, over, seed):
  x = jnp.full((2, 3, 3, 4), value, jnp.float32)
  rounded = x * (1 + 1e-7 * jax.random.normal(jax.random.key(seed), x.shape))
  for tensor in (x, rounded):
    gate, gradient = _gate_and_gradient(tensor, over)
    np.testing.assert_array_equal(gate, 0)
    np.testing.assert_array_equal(gradient, 0)


@functools.partial(jax.jit, static_argnames="over")
def _gate_and_gradient(x, over):
  gate = FlowContextGate(over)
  return gate(x), jax.grad(lambda x: jnp.sum(jnp.sin(gate(x))))(x)


@pytest.mark.parametrize("detached", [False, True])
def test_a_detached_gate_is_the_same_gate_and_teaches_nothing(detached):
  x = jax.random.normal(jax.random.key(0), (2, 3, 3, 4))
  gate = FlowContextGate(detached=detached)
  np.testing.assert_array_equal(gate(x), FlowContextGate()(x))
  teaches = lambda: bool(jnp.any(jax.grad(lambda x: jnp.sum(gate(x) ** 2))(x)))  # noqa: E731
  assert teaches() != detached
  gate.eval()  # What a trained network looks at is asked of the whole of it.
  assert teaches()


def test_one_constant_clip_leaves_the_others_gates_alone():
  x = jax.random.normal(jax.random.key(0), (3, 2, 2, 4)).at[1].set(0.0)
  gate = FlowContextGate("clip")(x)
  assert jnp.isfinite(gate).all()
  np.testing.assert_array_equal(gate[1], 0)
  assert gate[0].max() > 0.999 and gate[2].max() > 0.999


def test_bfloat16_features_stay_bfloat16_and_the_gate_float32():
  x = jax.random.normal(jax.random.key(0), (1, 2, 2, 4), jnp.bfloat16)
  gate = FlowContextGate()(x)
  assert gate.dtype == jnp.float32
  for infusion in (UnitaryInfusion(4), PublishedInfusion()):
    assert infusion(x, gate).dtype == jnp.bfloat16


def test_only_the_strict_triangle_is_a_parameter():
  params = jax.tree.leaves(nnx.state(UnitaryInfusion(64), nnx.Param))
  assert [p.size for p in params] == [64 * 63 // 2]
