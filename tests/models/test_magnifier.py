import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.models import weights
from infusenet_jax.models.magnifier import Magnifier
from tests.models.authors import procedural, procedural_state, relative_error


@pytest.fixture(scope="module")
def magnifier():
  magnifier = Magnifier(rngs=nnx.Rngs(0))
  shapes = {name: array.shape for name, array in weights.to_torch(magnifier).items()}
  weights.from_torch(magnifier, procedural_state(shapes, seed=5))
  return magnifier


def _frames(size=32):
  shape = (2, size, size, 3)
  first, change = (procedural(name, shape, 0) / 1.5 for name in ("first", "change"))
  return first, 0.9 * first + 0.1 * change


def test_it_agrees_with_the_layers_built_in_pytorch(magnifier):
  torch = pytest.importorskip("torch")
  functional = torch.nn.functional
  state = {
    n: torch.tensor(v.copy()).double() for n, v in weights.to_torch(magnifier).items()
  }

  def conv(x, name, stride=1):
    kernel = state[f"{name}.weight"]
    margin = (kernel.shape[-1] // 2,) * 4
    return functional.conv2d(
      functional.pad(x, margin, "reflect"), kernel, stride=stride
    )

  def blocks(x, name, count):
    for i in range(count):
      inner = conv(conv(x, f"{name}.{i}.conv1").relu(), f"{name}.{i}.conv2")
      x = x + inner
    return x

  def encode(x):
    x = conv(conv(x, "encoder.conv1").relu(), "encoder.conv2", stride=2).relu()
    x = blocks(x, "encoder.resblks", 3)
    return blocks(conv(x, "encoder.conv1_shape").relu(), "encoder.resblks_shape", 2)

  first, second = _frames()
  a, b = (encode(torch.tensor(x).permute(0, 3, 1, 2)) for x in (first, second))
  d = 9 * conv(b - a, "manipulator.convblks.0.conv1").relu()
  d = blocks(conv(d, "manipulator.convblks_after.0.conv1"), "manipulator.resblks", 1)
  x = blocks(b + d, "decoder.resblks", 9)
  x = functional.interpolate(x, scale_factor=2, mode="nearest")
  expected = conv(conv(x, "decoder.conv1").relu(), "decoder.conv2")

  with jax.enable_x64(True):
    found = magnifier(jnp.asarray(first), jnp.asarray(second), 10.0)
  expected = expected.permute(0, 2, 3, 1).numpy()
  assert relative_error(found, expected) < 1e-10


@pytest.mark.slow
def test_amp_may_differ_from_pair_to_pair(magnifier):
  first, second = (jnp.asarray(x, jnp.float32) for x in _frames())
  together = magnifier(first, second, jnp.array([3.0, 12.0]))
  for i, amp in enumerate((3.0, 12.0)):
    alone = magnifier(first[i : i + 1], second[i : i + 1], amp)
    np.testing.assert_allclose(alone[0], together[i], rtol=2e-4, atol=2e-4)


def test_an_amp_of_one_leaves_no_magnified_difference(magnifier):
  a, b = (magnifier.encoder(jnp.asarray(x, jnp.float32)) for x in _frames())
  np.testing.assert_array_equal(magnifier.manipulator(a, b, 1.0), 0)


def test_equal_frames_leave_no_magnified_difference(magnifier):
  a = magnifier.encoder(jnp.asarray(_frames()[0], jnp.float32))
  np.testing.assert_array_equal(magnifier.manipulator(a, a, 10.0), 0)
