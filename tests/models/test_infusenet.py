import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from infusenet_jax.models import weights
from infusenet_jax.models.infusenet import InfuseNet
from tests.models.authors import (
  DATA,
  ORACLES,
  procedural_inputs,
  procedural_state,
  relative_error,
)

FEATURES = ("flow_features", "magnified_features", "flow_logits", "magnified_logits")


call = nnx.jit(lambda model, *inputs: model(*inputs))


@pytest.fixture(
  params=[pytest.param(ORACLES[0], marks=pytest.mark.slow), *ORACLES[1:]],
  scope="module",
)
def oracle(request):
  return _read(request.param)


def _read(name):
  with np.load(DATA / name) as arrays:
    return dict(arrays)


def _published(oracle):
  """The authors' network with the oracle's weights; its inputs and labels."""
  seed, size, batch = (int(oracle[name]) for name in ("seed", "size", "batch"))
  model = InfuseNet(12, infusion="published", gate="batch", rngs=nnx.Rngs(0))
  shapes = {name: array.shape for name, array in weights.to_torch(model).items()}
  weights.from_torch(model, procedural_state(shapes, seed))
  return model, *procedural_inputs(seed, size, batch)


def _features_and_logits(model, flow, onset, apex, window_apex):
  latents = model.magnified_latents(onset, apex, window_apex)
  features = model.pooled_features(flow, latents)
  return *features, *map(model.head, features)


def _sampled(x):
  """NHWC -> every 8th channel, row and column of NCHW, as the oracles hold it."""
  return np.asarray(x).transpose(0, 3, 1, 2)[:, ::8, ::8, ::8]


def test_evaluation_in_float32_reproduces_the_authors_features_and_logits(oracle):
  model, inputs, _ = _published(oracle)
  model.eval()
  inputs = [jnp.asarray(x, jnp.float32) for x in inputs]
  outputs = nnx.jit(_features_and_logits)(model, *inputs)
  for name, found in zip(FEATURES, outputs, strict=True):
    assert found.dtype == jnp.float32
    assert relative_error(found, oracle[f"eval_{name}"]) < 1e-5, name


def test_the_magnifier_reproduces_the_authors(oracle):
  model, (_, onset, apex, _), _ = _published(oracle)

  @nnx.jit
  def magnify(magnifier, onset, apex):
    a, b = magnifier.encoder(onset), magnifier.encoder(apex)
    return a, magnifier.manipulator(a, b, 10.0), magnifier(onset, apex, 10.0)

  # The decoded image's rounding error in float32 is 4e-5, in PyTorch as well: the
  # oracle's decoder multiplies its input's. So that is compared in float64.
  for dtype, bound, decoded_bound in (
    ("float32", 1e-5, 1e-4),
    ("float64", 1e-10, 1e-10),
  ):
    with jax.enable_x64(dtype == "float64"):
      a, d, decoded = magnify(
        model.magnifier, jnp.asarray(onset, dtype), jnp.asarray(apex, dtype)
      )
    assert decoded.dtype == dtype
    assert relative_error(_sampled(a), oracle["encoder_onset"]) < bound
    assert relative_error(_sampled(d), oracle["magnified_difference"]) < bound
    decoded = np.asarray(decoded).transpose(0, 3, 1, 2)[:, :, ::8, ::8]
    assert relative_error(decoded, oracle["decoded"]) < decoded_bound


# Flax keeps running statistics in float32 whatever the network computes in.
@pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types")
@pytest.mark.parametrize(
  "name",
  [
    pytest.param(ORACLES[0], marks=pytest.mark.slow),
    *(pytest.param(name, marks=pytest.mark.release) for name in ORACLES[1:]),
  ],
)
def test_training_in_float64_reproduces_the_authors_loss_and_gradients(name):
  oracle = _read(name)
  with jax.enable_x64(True):
    model, inputs, labels = _published(oracle)
    model.train()

    def loss(model, *inputs):
      outputs = _features_and_logits(model, *inputs)
      losses = [
        optax.sigmoid_binary_cross_entropy(logits, labels.astype(float)).mean()
        for logits in outputs[2:]
      ]
      return sum(losses), outputs

    inputs = [jnp.asarray(x) for x in inputs]
    (total, outputs), grads = nnx.jit(nnx.value_and_grad(loss, has_aux=True))(
      model, *inputs
    )
    nnx.update(model, grads)
    grads = weights.to_torch(model)
  assert relative_error(total, oracle["train_loss"]) < 1e-6
  for name, found in zip(FEATURES, outputs, strict=True):
    assert relative_error(found, oracle[f"train_{name}"]) < 1e-6, name
  norms = [name for name in oracle if name.startswith("grad_norm:")]
  assert norms
  for name in norms:
    found = np.linalg.norm(grads[name.removeprefix("grad_norm:")].astype(float))
    assert relative_error(found, oracle[name]) < 1e-6, name


def _small(**arguments):
  return InfuseNet(12, width=8, rngs=nnx.Rngs(0), **arguments)


def _clips(count, size=64, seed=0):
  flow, *frames = jax.random.uniform(jax.random.key(seed), (4, count, size, size, 3))
  onset, apex, window_apex = (2 * frame - 1 for frame in frames)
  return flow, onset, 0.9 * onset + 0.1 * apex, 0.9 * onset + 0.1 * window_apex


def _away_from_start(model):
  """Gives unitary infusion rotations that differ from the identity."""
  for i, infusion in enumerate(model.infusions):
    shape = infusion.triangle.shape
    infusion.triangle[...] = 0.3 * jax.random.normal(jax.random.key(i), shape)


@pytest.mark.slow
def test_the_prediction_of_a_clip_is_the_same_alone_and_in_any_batch():
  model = _small()
  _away_from_start(model)
  model.eval()
  clips = _clips(5)
  together = call(model, *clips)
  for i in (0, 3):
    alone = call(model, *(x[i : i + 1] for x in clips))
    for logits, expected in zip(alone, together, strict=True):
      np.testing.assert_allclose(logits[0], expected[i], rtol=0, atol=1e-5)
  np.testing.assert_array_equal(model.flow_stem.bn1.mean[...], 0)


@pytest.mark.slow
def test_the_published_gate_lets_batch_mates_matter():
  model = _small(infusion="published", gate="batch")
  model.eval()
  clips = _clips(2)
  _, together = call(model, *clips)
  _, alone = call(model, *(x[:1] for x in clips))
  assert np.abs(alone[0] - together[0]).max() > 1e-5


@pytest.mark.slow
def test_unitary_infusion_starts_as_the_published_one_bit_for_bit():
  clips = _clips(2)
  published, unitary = (_small(infusion=i) for i in ("published", "unitary"))
  for model in (published, unitary):
    model.eval()
  weights.from_torch(unitary, weights.to_torch(published))
  for found, expected in zip(
    call(unitary, *clips), call(published, *clips), strict=True
  ):
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("infusion", ["unitary", "published"])
def test_rotations_given_are_used_and_change_nothing(infusion):
  model = _small(infusion=infusion)
  if infusion == "unitary":
    _away_from_start(model)
  model.eval()
  clips = _clips(2)

  @nnx.jit
  def call_with(model, rotations, flow, *frames):
    return model.heads(flow, model.magnified_latents(*frames), rotations=rotations)

  found = call_with(model, model.rotations(), *clips)
  for logits, expected in zip(found, call(model, *clips), strict=True):
    np.testing.assert_allclose(logits, expected, atol=1e-6)


@pytest.mark.release
@pytest.mark.parametrize("infusion", ["unitary", "published"])
def test_infused_in_one_place_is_stage_1_alone(infusion):
  model = _small(infusion=infusion, infused=1)
  if infusion == "unitary":
    model.infusions[0].triangle[...] = 0.3
  model.eval()
  clips = _clips(2)

  @nnx.jit
  def by_hand(model, flow, *frames):
    x, m = model.flow_stem(flow), model.magnified_latents(*frames)
    x, m = model.flow_stages[0](x), model.magnified_stages[0](m)
    m = model.infusions[0](m, model.gate(x))
    for flow_stage, magnified_stage in list(
      zip(model.flow_stages, model.magnified_stages, strict=True)
    )[1:]:
      x, m = flow_stage(x), magnified_stage(m)
    return tuple(model.head(features.mean((1, 2))) for features in (x, m))

  for found, expected in zip(call(model, *clips), by_hand(model, *clips), strict=True):
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_infused_nowhere_the_flow_says_nothing_to_the_magnified_branch():
  model = _small(infused=0)
  model.eval()
  flow, *frames = _clips(2)
  _, expected = call(model, flow, *frames)
  flow_logits, found = call(model, 1 - flow, *frames)
  np.testing.assert_array_equal(found, expected)
  assert np.abs(flow_logits - expected).max() > 1e-5


@pytest.mark.release
def test_detached_the_flow_branch_learns_from_its_own_logits_alone():
  inputs = _clips(2)
  learned = {}
  for detached in (False, True):
    model = _small(detached=detached)
    model.train()
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def of_magnified_logits(params, graph=graph, rest=rest):
      model = nnx.merge(graph, params, rest, copy=True)
      return jnp.sum(model(*inputs)[1] ** 2)

    gradient = jax.grad(of_magnified_logits)(params)
    learned[detached] = {
      part: max(float(jnp.abs(x).max()) for x in jax.tree.leaves(gradient[part]))
      for part in ("flow_stem", "flow_stages", "magnified_stages", "head")
    }
  assert min(learned[False].values()) > 0
  assert learned[True]["flow_stem"] == learned[True]["flow_stages"] == 0
  assert learned[True]["magnified_stages"] > 0 and learned[True]["head"] > 0


@pytest.mark.slow
def test_without_the_window_apex_that_frame_changes_nothing():
  model = _small(window_apex=False)
  model.eval()
  flow, onset, apex, window_apex = _clips(2)
  for found, expected in zip(
    call(model, flow, onset, apex, -window_apex),
    call(model, flow, onset, apex, window_apex),
    strict=True,
  ):
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_training_on_clips_without_any_motion_stays_finite():
  model = _small()
  model.train()
  flow, latents = jnp.zeros((2, 32, 32, 3)), jnp.zeros((2, 8, 8, 64))

  def loss(model):
    return sum(jnp.sum(logits**2) for logits in model.heads(flow, latents))

  value, grads = nnx.jit(nnx.value_and_grad(loss))(model)
  assert jnp.isfinite(value)
  assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))
  # train() uses the batch's statistics and moves the running ones a tenth towards them.
  np.testing.assert_allclose(model.flow_stem.bn1.var[...], 0.9, rtol=1e-6)


@pytest.mark.slow
def test_bfloat16_computes_in_bfloat16_and_keeps_float32_state():
  model = _small(dtype=jnp.bfloat16)
  model.train()
  clips = _clips(2)
  latents = jax.eval_shape(model.magnified_latents, *clips[1:])
  assert latents.dtype == jnp.bfloat16
  logits = call(model, *clips)
  assert all(x.dtype == jnp.float32 and jnp.isfinite(x).all() for x in logits)
  assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(nnx.state(model)))


def test_the_full_network_has_the_published_size():
  model = nnx.eval_shape(lambda: InfuseNet(infusion="published", rngs=nnx.Rngs(0)))
  decoder = sum(x.size for x in jax.tree.leaves(nnx.state(model.magnifier.decoder)))
  params = sum(x.size for x in jax.tree.leaves(nnx.state(model, nnx.Param)))
  assert 22.4e6 < params < 22.8e6
  assert decoder < 0.2e6


@pytest.mark.parametrize("field", ["infusion", "gate", "magnified"])
def test_an_unknown_variant_is_refused_by_name(field):
  with pytest.raises(ValueError, match=f"{field} is 'other', expected one of"):
    _small(**{field: "other"})
