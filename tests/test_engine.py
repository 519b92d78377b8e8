"""The compiled steps: donation, frozen parts, one compile, many devices like one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.engine import masked_bce, split_model
from infusenet_jax.errors import UserError
from infusenet_jax.network import batch_shapes, build_network, initial_state
from infusenet_jax.parallel import data_mesh

ROOT = Path(__file__).parents[1]


def random_batch(config, seed: int = 0) -> dict[str, np.ndarray]:
  rng = np.random.default_rng(seed)
  batch = {
    name: rng.random(shape.shape).astype(shape.dtype)
    for name, shape in batch_shapes(config).items()
  }
  batch["labels"] = rng.integers(0, 2, batch["labels"].shape, dtype=np.uint8)
  return batch | {"weights": np.ones(config.train.batch_size, np.float32)}


@pytest.fixture
def network_and_state(tiny_config):
  mesh = data_mesh(tiny_config.train.batch_size)
  network = build_network(tiny_config, mesh)
  return network, initial_state(tiny_config, network, 0)


def test_training_lowers_the_loss_and_leaves_the_magnifier(
  tiny_config, network_and_state
):
  network, state = network_and_state
  frozen = jax.tree.map(np.asarray, state.frozen)
  assert len(jax.tree.leaves(frozen)) > 20
  batch, losses, before = random_batch(tiny_config), [], 0.0
  for _ in range(30):
    state = network.train_step(state, batch)
    losses.append(float(state.loss_sum) - before)
    before = float(state.loss_sum)
  assert losses[-1] < 0.7 * losses[0]
  assert int(state.step) == 30
  jax.tree.map(np.testing.assert_array_equal, frozen, state.frozen)
  assert network.train_step._cache_size() == 1


def test_a_step_that_is_not_finite_changes_nothing_and_is_named(
  tiny_config, network_and_state
):
  network, state = network_and_state
  batch = random_batch(tiny_config)
  state = network.train_step(state, batch)
  params = jax.tree.map(np.asarray, state.params)
  broken = batch | {"flow": np.full_like(batch["flow"], np.nan)}
  state = network.train_step(state, broken)
  state = network.train_step(state, batch)
  assert int(state.failed_step) == 1
  jax.tree.map(np.testing.assert_array_equal, params, state.params)


def test_clips_at_weight_zero_add_nothing_to_the_loss():
  logits, labels = jnp.array([[1.0, -2.0], [5.0, 5.0]]), jnp.array([[1, 0], [0, 0]])
  alone = masked_bce(logits[:1], labels[:1], jnp.ones(1))
  assert jnp.allclose(masked_bce(logits, labels, jnp.array([1.0, 0.0])), alone)


def test_a_trained_magnifier_is_among_the_trained_parameters(tiny_config):
  tiny_config.train.magnifier = True
  network = build_network(tiny_config, data_mesh(tiny_config.train.batch_size))
  state = initial_state(tiny_config, network, 0)
  assert not jax.tree.leaves(state.frozen)
  model = nnx.merge(network.graph, state.params, state.frozen, state.rest)
  assert jax.tree.leaves(split_model(model, False)[2])


STEP_ON_ALL_DEVICES = """
import json, jax, numpy as np
from configs import quickstart
from infusenet_jax.network import build_network, initial_state
from infusenet_jax.parallel import data_mesh
from tests.test_engine import random_batch

config = quickstart.get_config()
config.image_size, config.model.width, config.train.batch_size = 32, 4, 16
config.model.magnifier_weights = ""
network = build_network(config, data_mesh(16))
state = initial_state(config, network, 0)
losses = []
for step in range(3):
  before = float(state.loss_sum)
  state = network.train_step(state, random_batch(config, step))
  losses.append(float(state.loss_sum) - before)
norm = float(sum(np.square(np.asarray(x)).sum() for x in jax.tree.leaves(state.params)))
print(json.dumps({"devices": jax.device_count(), "losses": losses, "norm": norm}))
"""


def step_with(devices: int) -> dict:
  flags = f"--xla_force_host_platform_device_count={devices}"
  environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
  done = subprocess.run(
    [sys.executable, "-c", STEP_ON_ALL_DEVICES],
    cwd=ROOT,
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout.splitlines()[-1])


def test_eight_devices_give_the_numbers_of_one():
  one, eight = step_with(1), step_with(8)
  assert (one["devices"], eight["devices"]) == (1, 8)
  np.testing.assert_allclose(eight["losses"][0], one["losses"][0], rtol=1e-5)
  np.testing.assert_allclose(eight["losses"], one["losses"], rtol=1e-3)
  np.testing.assert_allclose(eight["norm"], one["norm"], rtol=1e-4)


def test_a_batch_that_devices_cannot_share_is_refused(monkeypatch):
  monkeypatch.setattr(jax, "device_count", lambda: 8)
  with pytest.raises(UserError, match=r"batch_size is 20.*8 devices.*nearest.*(16|24)"):
    data_mesh(20)
