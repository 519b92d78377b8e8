"""The full-size steps lower for TPU, CUDA and CPU, on a machine that has only a CPU."""

import jax
import numpy as np
import pytest

from configs import cd6me
from infusenet_jax.benchmark.accelerator.ahead_of_time import arguments_of
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.training.engine.network import batch_shapes, build_network

PLATFORMS = ("tpu", "cuda", "cpu")


def shapes(config, network):
  """The train step's arguments, and the eval step's, without any values."""
  states, batches = arguments_of(config, network)
  weights = jax.eval_shape(network.draw, jax.random.key(0))
  rotations = jax.eval_shape(network.rotate, weights)
  seen = {k: like for k, like in batch_shapes(config).items() if k != "weights"}
  return (states, batches), (weights, rotations, seen)


@pytest.mark.parametrize(
  "dtype, image_size, train_magnifier",
  [
    pytest.param("bfloat16", 64, False, marks=pytest.mark.slow),
    pytest.param("bfloat16", 224, False, marks=pytest.mark.release),
    pytest.param("float32", 224, True, marks=pytest.mark.release),
  ],
)
def test_train_and_eval_step_lower_for_every_platform(
  dtype, image_size, train_magnifier
):
  config = cd6me.get_config()
  config.dtype, config.image_size = dtype, image_size
  config.train.update({"magnifier": train_magnifier, "mirror": True})
  config.train.schedule = "cosine"
  network = build_network(config, device_mesh(config.train.batch_size, **config.mesh))
  train, evaluate = shapes(config, network)
  exported = jax.export.export(network.train_steps, platforms=PLATFORMS)(*train)
  assert exported.platforms == PLATFORMS
  assert [x.shape for x in exported.out_avals[:-1]] == [
    x.shape for x in jax.tree.leaves(train[0])
  ]
  size = sum(np.prod(x.shape) for x in jax.tree.leaves(train[0].params))
  assert size > 22e6
  # The convolution that a platform's own form replaces is there for the others.
  assert "stablehlo.convolution" in exported.mlir_module()
  exported = jax.export.export(network.eval_step, platforms=PLATFORMS)(*evaluate)
  assert exported.out_avals[0].shape == (2, config.train.batch_size, 12)
