"""Several updates in one dispatch are the updates that one by one would make."""

import os
import signal
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import Preempted
from infusenet_jax.training import run
from infusenet_jax.training.engine import inputs, steps
from infusenet_jax.training.engine.experiment import seconds_per_step
from infusenet_jax.training.engine.inputs import make_inputs
from infusenet_jax.training.engine.network import (
  Network,
  batch_shapes,
  build_network,
  initial_state,
)
from tests.conftest import make_clips
from tests.training.engine.test_steps import random_batch


def in_float64(tree):
  wide = lambda x: x.astype(jnp.float64) if x.dtype == jnp.float32 else x  # noqa: E731
  return jax.tree.map(wide, tree)


@pytest.mark.parametrize(
  "name",
  [
    pytest.param("off_apexnet", marks=pytest.mark.slow),
    pytest.param("infusenet", marks=pytest.mark.release),
  ],
)
def test_parameters_are_those_of_step_by_step(tiny_config, name):
  config, size = tiny_config, tiny_config.train.batch_size
  config.model.name = name
  config.train.update({"mirror": True, "schedule": "cosine"})
  if name == "off_apexnet":
    config.train.loss = "focal"
  rng = np.random.default_rng(0)
  drawn = [(rng.integers(0, 8, size), np.ones(size, np.float32)) for _ in range(5)]
  drawn[2][1][5:] = 0  # The last batch of an epoch of three.
  told = {"prior": rng.uniform(0.1, 0.5, (size, 12))}
  with jax.enable_x64(True):
    config.dtype = "float64"
    mesh = device_mesh(size)
    network = build_network(config, mesh)
    clips = {k: x[0] for k, x in random_batch(config).items() if k != "weights"}
    told = {name: told[name] for name in network.objective.shapes}
    found = []
    for count in (1, 3):
      fed = make_inputs(clips, size, mesh, count)
      state = initial_state(config, network, 0)._replace(epoch_steps=jnp.int32(3))
      states, losses = network.stack.fill(in_float64(state)), []
      for first in range(0, len(drawn), count):  # The last one makes two of three.
        stop = min(first + count, len(drawn))
        batches = fed.join([list(fed.stream(drawn.__getitem__, first, stop, told))])
        states, loss_sums = network.train_steps(states, batches)
        losses += loss_sums[0].tolist()[: len(drawn) - first]
      assert int(states.step[0]) == 5
      found.append((losses, jax.tree.map(np.asarray, states.params)))
  (one_by_one, expected), (together, params) = found
  np.testing.assert_allclose(together, one_by_one, rtol=1e-12)
  assert one_by_one[3] < one_by_one[2]  # A new epoch's sum begins at 0.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12),
    params,
    expected,
  )
  first = jax.tree.map(np.asarray, state.params)
  moved = jax.tree.map(lambda a, b: np.abs(a[0] - b).max(), params, first)
  assert max(jax.tree.leaves(moved)) > 1e-5


def files(workdir: Path) -> dict[str, bytes]:
  return {
    str(path.relative_to(workdir)): path.read_bytes()
    for path in [*workdir.glob("folds/*/losses.csv"), workdir / "predictions.csv"]
  }


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 10], ids=["within epochs", "beyond epochs"])
def test_a_run_that_is_stopped_between_dispatches_ends_like_one_that_was_not(
  tiny_config, train, tmp_path, monkeypatch, count
):
  """Epochs of 4 steps, two a fold, in dispatches of 3, or in one of 10."""
  tiny_config.model.name = "ststnet"
  # Rounding differs between a scan and single steps, and Adam amplifies it.
  tiny_config.train.learning_rate = 1e-6
  one_by_one = train(tiny_config, tmp_path / "one by one")
  network = build_network(tiny_config, device_mesh(8), count)
  monkeypatch.setattr(run, "build_network", lambda *_, **how: network)
  train(tiny_config, tmp_path / "whole")
  sent = []

  def train_steps(*arguments):
    sent.append(1)
    if len(sent) == 2:
      os.kill(os.getpid(), signal.SIGTERM)
    return network.train_steps(*arguments)

  stopped = Network(**vars(network) | {"train_steps": train_steps})
  monkeypatch.setattr(run, "build_network", lambda *_, **how: stopped)
  with pytest.raises(Preempted):
    train(tiny_config, tmp_path / "parts")
  train(tiny_config, tmp_path / "parts")
  assert len(sent) == {3: 2 * 3, 10: 2}[count]
  assert files(tmp_path / "parts") == files(tmp_path / "whole")
  assert network.train_steps._cache_size() == 1
  assert one_by_one.text() is not None
  for path in tmp_path.glob("whole/folds/*/losses.csv"):
    other = tmp_path / "one by one" / path.relative_to(tmp_path / "whole")
    losses = [np.loadtxt(p, delimiter=",", skiprows=1) for p in (path, other)]
    assert losses[0][:, 0].tolist() == [1, 2]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_cpu_is_sent_one_step_and_an_accelerator_several():
  def mesh(platform):
    device = type("Device", (), {"platform": platform})
    return type("Mesh", (), {"devices": np.array([[device]])})

  assert steps.steps_per_dispatch(mesh("cpu")) == 1
  assert all(10 <= steps.steps_per_dispatch(mesh(p)) <= 50 for p in ("tpu", "gpu"))


def test_clips_in_host_memory_are_sent_step_by_step(tiny_config, monkeypatch):
  monkeypatch.setattr(inputs, "fits_device", lambda size: False)
  arrays = {"flow": make_clips(8).flow}
  assert make_inputs(arrays, 8, device_mesh(8), 20).steps_per_dispatch == 1


@pytest.mark.slow
def test_a_step_is_timed_as_the_run_will_make_it(tiny_config):
  tiny_config.model.name, count = "ststnet", 3
  network = build_network(tiny_config, device_mesh(8), count)
  assert seconds_per_step(tiny_config, network, 11) > 0
  arrays = {
    name: np.zeros((11, *like.shape[1:]), like.dtype)
    for name, like in batch_shapes(tiny_config).items()
    if name != "weights"
  }
  fed = make_inputs(arrays, 8, network.mesh, count)
  states = network.stack.fill(initial_state(tiny_config, network, 0))
  step = {"numbers": np.arange(8), "weights": np.ones(8, np.float32)}
  network.train_steps(states, fed.join([[step]]))
  assert network.train_steps._cache_size() == 1
