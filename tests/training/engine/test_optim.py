"""Mirrored faces and the falling learning rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusenet_jax.models.magnified_input import MagnifiedInput
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine import optim
from infusenet_jax.training.engine.config import check_config
from infusenet_jax.training.engine.network import build_network, initial_state
from tests.training.engine.test_steps import random_batch, train_step


def faces(seed: int, count: int = 32) -> dict[str, np.ndarray]:
  rng = np.random.default_rng(seed)
  return {
    "flow": rng.random((count, 8, 8, 3), np.float32).astype(np.float16),
    "latents": rng.random((count, 2, 2, 64), np.float32),
    "onset": rng.integers(0, 256, (count, 8, 8, 3), np.uint8),
    "labels": rng.integers(0, 2, (count, 12), np.uint8),
  }


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_a_clip_is_mirrored_as_a_whole_or_not_at_all(seed, key):
  batch = faces(seed)
  mirrored = optim.mirror_faces(jax.random.key(key), batch, MagnifiedInput())
  assert {n: x.dtype for n, x in mirrored.items()} == {
    n: x.dtype for n, x in batch.items()
  }
  np.testing.assert_array_equal(mirrored["labels"], batch["labels"])
  for i in range(len(batch["flow"])):
    clip = {name: np.asarray(x[i]) for name, x in mirrored.items()}
    if not (clip["flow"] == batch["flow"][i]).all():
      u, *others = np.moveaxis(batch["flow"][i][:, ::-1], -1, 0)
      np.testing.assert_array_equal(clip["flow"], np.stack([1 - u, *others], -1))
      batch["latents"][i] = batch["latents"][i][:, ::-1]
      batch["onset"][i] = batch["onset"][i][:, ::-1]
    np.testing.assert_array_equal(clip["latents"], batch["latents"][i])
    np.testing.assert_array_equal(clip["onset"], batch["onset"][i])


@pytest.mark.parametrize("window_apex", [True, False])
def test_signed_motion_along_x_changes_its_sign_in_a_mirror(window_apex):
  magnified = MagnifiedInput(window_apex=window_apex, reference="signed")
  batch, pairs = faces(0), 1 + window_apex
  count = magnified.shape(8)[-1]
  batch["latents"] = np.random.default_rng(1).random((32, 2, 2, count), np.float32)
  mirrored = optim.mirror_faces(jax.random.key(0), batch, magnified)
  flipped = (np.asarray(mirrored["onset"]) != batch["onset"]).any((1, 2, 3))
  assert 0 < flipped.sum() < 32
  before, after = batch["latents"][flipped][:, :, ::-1], mirrored["latents"][flipped]
  x, y = slice(-2 * pairs, None, 2), slice(1 - 2 * pairs, None, 2)
  np.testing.assert_array_equal(after[..., : 32 * pairs], before[..., : 32 * pairs])
  np.testing.assert_array_equal(after[..., x], -before[..., x])
  np.testing.assert_array_equal(after[..., y], before[..., y])


def test_a_clip_without_motion_has_none_in_the_mirror():
  batch = {"flow": np.zeros((16, 4, 4, 3), np.float16)}
  mirrored = optim.mirror_faces(jax.random.key(0), batch)
  np.testing.assert_array_equal(mirrored["flow"], batch["flow"])


def test_about_half_of_the_faces_are_mirrored():
  batch = faces(0, count=2000)
  mirrored = optim.mirror_faces(jax.random.key(1), batch, MagnifiedInput())
  changed = (np.asarray(mirrored["onset"]) != batch["onset"]).any((1, 2, 3))
  assert 900 < changed.sum() < 1100


def test_the_rate_falls_from_all_of_it_to_nothing():
  rates = optim.cosine(jnp.arange(201), jnp.int32(100))
  chosen = jnp.array([0, 50, 100, 200])
  np.testing.assert_allclose(rates[chosen], [1, 0.5, 0, 0], atol=1e-6)
  assert (jnp.diff(rates[:101]) < 0).all()


def params_after(config, steps: int, *, seed: int = 0, epoch_steps: int = 2):
  """All parameters after each step, of a network that is compiled in no time."""
  config.model.name = "off_apexnet"
  network = build_network(config, device_mesh(config.train.batch_size))
  state = initial_state(config, network, 0)._replace(
    seed=jnp.uint32(seed), epoch_steps=jnp.int32(epoch_steps)
  )
  states, seen = network.stack.fill(state), []
  for number in range(steps):
    states = train_step(network, states, random_batch(config, number))
    seen.append(np.concatenate([np.ravel(x) for x in jax.tree.leaves(states.params)]))
  return seen


@pytest.mark.slow
def test_the_last_steps_of_a_cosine_hardly_move_the_parameters(tiny_config):
  tiny_config.train.update({"epochs": 5, "schedule": "constant", "mirror": False})
  constant = params_after(tiny_config, 10)
  tiny_config.train.schedule = "cosine"
  falling = params_after(tiny_config, 10)
  # Two programs, which round differently; a step moves a parameter by about 1e-3.
  np.testing.assert_allclose(constant[0], falling[0], rtol=0, atol=1e-7)
  moved = [np.abs(np.diff(seen[-2:], axis=0)).max() for seen in (constant, falling)]
  assert moved[1] < 0.1 * moved[0]


@pytest.mark.slow
def test_mirroring_is_drawn_from_the_seed(tiny_config):
  tiny_config.train.update({"schedule": "constant", "mirror": True})
  one, again, other = (params_after(tiny_config, 3, seed=s)[-1] for s in (5, 5, 6))
  np.testing.assert_array_equal(one, again)
  assert (one != other).any()


@pytest.mark.parametrize("decay", ["linear", ""])
def test_an_unknown_decay_is_refused(tiny_config, decay):

  tiny_config.train.schedule = decay
  with pytest.raises(UserError, match=r"config.train.schedule is .* constant, cosine"):
    check_config(tiny_config)
