"""The compiled steps: donation, frozen parts, one compile, many devices like one."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine.network import (
  batch_shapes,
  build_network,
  initial_state,
)
from infusenet_jax.training.engine.steps import Batches, split_model
from tests.conftest import on_devices
from tests.training.conftest import compiled_network

ROOT = Path(__file__).parents[3]


def random_batch(config, seed: int = 0, folds: int = 1) -> dict[str, np.ndarray]:
  """The same batch (F, B, ...) for each of `folds`."""
  rng = np.random.default_rng(seed)
  batch = {
    name: rng.random(shape.shape).astype(shape.dtype)
    for name, shape in batch_shapes(config).items()
  }
  batch["labels"] = rng.integers(0, 2, batch["labels"].shape, dtype=np.uint8)
  batch["weights"] = np.ones(config.train.batch_size, np.float32)
  return {name: np.stack([part] * folds) for name, part in batch.items()}


def train_step(network, states, batch: dict[str, np.ndarray]):
  """One update with what `random_batch` returned."""
  steps = {name: part[:, None] for name, part in batch.items()}
  return network.train_steps(states, Batches({}, steps))[0]


@pytest.fixture
def network_and_state(tiny_config):
  tiny_config.train.update({"schedule": "constant", "mirror": False})
  mesh = device_mesh(tiny_config.train.batch_size)
  network = compiled_network(tiny_config, mesh)
  return network, network.stack.fill(initial_state(tiny_config, network, 0))


@pytest.mark.slow
def test_training_lowers_the_loss_and_leaves_the_magnifier(
  tiny_config, network_and_state
):
  network, state = network_and_state
  frozen = jax.tree.map(np.asarray, state.frozen)
  assert len(jax.tree.leaves(frozen)) > 20
  batch, losses, first = random_batch(tiny_config), [], state.params
  for _ in range(30):
    state = train_step(network, state, batch)
    losses.append(float(state.loss_sum[0]))  # An epoch is one step here.
  assert losses[-1] < 0.7 * losses[0]
  assert all(leaf.is_deleted() for leaf in jax.tree.leaves(first))  # Donated.
  assert int(state.step[0]) == 30
  jax.tree.map(np.testing.assert_array_equal, frozen, state.frozen)
  assert network.train_steps._cache_size() == 1


@pytest.mark.slow
def test_a_step_that_is_not_finite_changes_nothing_and_is_named(
  tiny_config, network_and_state
):
  network, state = network_and_state
  batch = random_batch(tiny_config)
  state = train_step(network, state, batch)
  params = jax.tree.map(np.asarray, state.params)
  broken = batch | {"flow": np.full_like(batch["flow"], np.nan)}
  state = train_step(network, state, broken)
  state = train_step(network, state, batch)
  assert int(state.failed_step[0]) == 1
  jax.tree.map(np.testing.assert_array_equal, params, state.params)


@pytest.mark.slow
def test_a_fold_without_clips_sits_the_step_out(tiny_config, network_and_state):
  network, state = network_and_state
  batch = random_batch(tiny_config)
  state = train_step(network, state, batch)
  before = jax.tree.map(np.asarray, state)
  state = train_step(network, state, batch | {"weights": 0 * batch["weights"]})
  jax.tree.map(np.testing.assert_array_equal, before, state)


@pytest.mark.slow
def test_running_means_move_a_tenth_towards_the_batch_and_evaluation_uses_them(
  tiny_config, network_and_state
):
  network, states = network_and_state
  batch = random_batch(tiny_config)
  before = network.stack.pick(states, 0)
  model = nnx.merge(network.graph, *jax.tree.map(jnp.copy, before.weights))
  features = model.flow_stem.conv1(batch["flow"][0].astype(np.float32))
  expected = 0.9 * model.flow_stem.bn1.mean[...] + 0.1 * features.mean((0, 1, 2))
  states = train_step(network, states, batch)
  after = network.stack.pick(states, 0)
  found = nnx.merge(network.graph, *after.weights).flow_stem.bn1.mean[...]
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)

  rotations = network.rotate(after.weights)
  clips = {name: x[0] for name, x in batch.items()}
  others = {name: np.concatenate([x[:1], x[:0:-1]]) for name, x in clips.items()}
  others["flow"][1:] = 0
  logits, again = (
    np.asarray(network.eval_step(after.weights, rotations, x)) for x in (clips, others)
  )
  # A clip's logits do not depend on what else is in its batch.
  np.testing.assert_allclose(again[:, 0], logits[:, 0], rtol=1e-4, atol=1e-5)
  assert np.abs(again[:, 1] - logits[:, 1]).max() > 1e-3


@pytest.mark.slow
def test_a_trained_magnifier_is_among_the_trained_parameters(tiny_config):
  tiny_config.train.magnifier = True
  network = build_network(tiny_config, device_mesh(tiny_config.train.batch_size))
  state = initial_state(tiny_config, network, 0)
  assert not jax.tree.leaves(state.frozen)
  model = nnx.merge(network.graph, *state.weights)
  assert jax.tree.leaves(split_model(model, False)[2])


STEPS_ON_ALL_DEVICES = """
import json, sys, jax, numpy as np
from configs import quickstart
from infusenet_jax.training.engine.network import build_network, initial_state
from infusenet_jax.runtime.devices import device_mesh
from tests.training.engine.test_steps import random_batch, train_step

folds = int(sys.argv[1])
config = quickstart.get_config()
config.image_size, config.model.width, config.train.batch_size = 32, 4, 16
config.model.magnifier_weights = ""
network = build_network(config, device_mesh(16, fold=folds))
states = network.stack.fill(initial_state(config, network, 0))
for place in range(folds):  # Every fold from weights of its own.
  states = network.stack.put(states, place, initial_state(config, network, place))
losses = []
for step in range(3):
  states = train_step(network, states, random_batch(config, step, folds))
  losses.append(np.asarray(states.loss_sum).tolist())
picked = network.stack.pick(states, folds - 1)
leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(picked.params)]
norm = float(sum(np.square(leaf).sum() for leaf in leaves))
print(json.dumps({"losses": losses, "norm": norm}))
"""


def steps_with(devices: int, folds: int) -> dict:
  done = subprocess.run(
    [sys.executable, "-c", STEPS_ON_ALL_DEVICES, str(folds)],
    cwd=ROOT,
    env=on_devices(devices),
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.release
@pytest.mark.parametrize("folds", [1, 2], ids=["1x8", "2x4"])
def test_eight_devices_give_the_numbers_of_one(folds):
  one, eight = steps_with(1, 1), steps_with(8, folds)
  losses = np.array(eight["losses"])
  np.testing.assert_allclose(losses[0, 0], one["losses"][0][0], rtol=1e-5)
  np.testing.assert_allclose(losses[:, :1], one["losses"], rtol=1e-3)
  if folds == 1:
    np.testing.assert_allclose(eight["norm"], one["norm"], rtol=1e-4)
  else:  # The other fold's weights are its own.
    assert abs(losses[0, 1] - losses[0, 0]) > 1e-4


def test_a_batch_that_devices_cannot_share_is_refused(monkeypatch):
  monkeypatch.setattr(jax, "device_count", lambda: 8)
  with pytest.raises(UserError, match=r"batch_size is 20.*8 devices.*nearest.*(16|24)"):
    device_mesh(20)


@pytest.mark.parametrize(
  "fold, data, message",
  [
    (2, 3, "6 devices, but there are 8"),
    (3, -1, "8 devices are no multiple of 3"),
    (0, -1, "expected numbers from 1"),
    (-1, -1, "expected numbers from 1"),
  ],
)
def test_a_mesh_that_devices_cannot_form_is_refused(fold, data, message, monkeypatch):
  monkeypatch.setattr(jax, "device_count", lambda: 8)
  with pytest.raises(UserError, match=message):
    device_mesh(16, fold, data)
