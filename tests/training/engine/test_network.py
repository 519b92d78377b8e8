"""Every model of the configs, from the config to its steps."""

import jax
import numpy as np
import pytest

from configs import baselines, study
from infusenet_jax.clips.schema import frames_held
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine.config import (
  check_config,
  sees_frames,
  sees_offset,
)
from infusenet_jax.training.engine.inputs import magnifier_arrays
from infusenet_jax.training.engine.network import (
  batch_shapes,
  build_network,
  initial_state,
)
from tests.conftest import make_clips

VARIANTS = {
  **baselines.MODELS,
  "infusenet": {},
  "off_apexnet-benchmarked": {"name": "off_apexnet", "streams": 1},
  "reconstructed": {"magnified": "reconstructed"},
  "no-window-apex": {"window_apex": False},
  **{f"infusenet-{name}": change for name, change in study.BESIDE.items()},
  "reconstructed-amps": {"magnified": "reconstructed", "more_amps": (5,)},
  **{
    f"{name}-{seen}": {"infusenet": {}, **baselines.MODELS}[name] | change
    for name in study.SINCE_BOTH
    for seen, change in study.BOTH_ENDS.items()
  },
  "reconstructed-offset": {"magnified": "reconstructed", "reference": "offset"},
}


# Tracing one takes seconds: of each kind one is looked at every time.
TYPICAL = ("sssnet", "magnified_branch", "infusenet", "infusenet-offset")


@pytest.fixture(
  params=[
    pytest.param(name, marks=[] if name in TYPICAL else pytest.mark.release)
    for name in VARIANTS
  ]
)
def config(request, tiny_config):
  tiny_config.model.update(VARIANTS[request.param])
  tiny_config.simulated.offset = True
  return tiny_config


def test_every_model_sees_the_batches_that_are_made_for_it(config):
  check_config(config)
  mesh = device_mesh(config.train.batch_size)
  network = build_network(config, mesh)
  weights = jax.eval_shape(network.draw, jax.random.key(0))
  batch = batch_shapes(config)
  logits = jax.eval_shape(network.eval_step, weights, None, batch)
  heads = 2 if config.model.name == "infusenet" else 1
  assert logits.shape == (heads, config.train.batch_size, 12)
  if sees_frames(config):
    names = frames_held(sees_offset(config))
    config.train.magnifier = True
    frames = {name: batch_shapes(config)[name] for name in names}
    latents = jax.eval_shape(network.magnify, weights, frames)
    expected = batch["latents"]
    assert (latents.shape, latents.dtype) == (expected.shape, expected.dtype)


@pytest.mark.slow
def test_cached_and_fresh_inputs_give_the_same_logits(tiny_config):
  config = tiny_config
  config.model.update(baselines.MODELS["resnet18_reconstructed"])
  config.model.magnifier_weights = "pretrained"
  network = build_network(config, device_mesh(config.train.batch_size))
  state = initial_state(config, network, 0)
  clips = make_clips(config.train.batch_size)
  logits = []
  for frozen in (True, False):
    arrays = magnifier_arrays(
      clips,
      lambda frames: network.magnify(state.weights, frames),
      network.mesh,
      batch_size=config.train.batch_size,
      frozen_magnifier=frozen,
    )
    config.train.magnifier = not frozen
    expected = {
      key: (like.shape, like.dtype)
      for key, like in batch_shapes(config).items()
      if key not in ("flow", "labels", "weights")
    }
    assert {k: (x.shape, x.dtype) for k, x in arrays.items()} == expected
    batch = arrays | {"flow": clips.flow, "labels": clips.labels}
    rotations = network.rotate(state.weights)
    logits.append(np.asarray(network.eval_step(state.weights, rotations, batch)))
  np.testing.assert_allclose(*logits, atol=1e-5)


def test_only_models_of_the_flow_see_no_frames(config):
  flow_only = ("sssnet", "ststnet", "off_apexnet", "resnet18", "flow_branch")
  assert sees_frames(config) == (config.model.name not in flow_only)


@pytest.mark.parametrize(
  "field, value, message",
  [
    ("name", "resnet50", "expected one of infusenet, sssnet"),
    ("magnified", "faces", "expected one of latents, reconstructed"),
    ("infused", 6, "expected one of 0, 1, 2, 3, 4, 5"),
    ("amp", 1.0, "expected a factor above 1"),
  ],
)
def test_a_model_that_there_is_not_is_refused(tiny_config, field, value, message):
  tiny_config.model[field] = value
  with pytest.raises(UserError, match=rf"config\.model\.{field} is .*{message}"):
    check_config(tiny_config)


@pytest.mark.parametrize(
  "field, name", [("resnet_weights", "sssnet"), ("weights", "resnet18")]
)
def test_weights_that_a_model_cannot_take_are_refused(tiny_config, field, name):
  tiny_config.model.update({"name": name, field: "some.pth"})
  with pytest.raises(UserError, match=rf"{field} is 'some.pth', but {name}.*infusenet"):
    check_config(tiny_config)


def test_no_epochs_are_for_weights_that_are_given(tiny_config):
  tiny_config.train.epochs = 0
  with pytest.raises(UserError, match=r"epochs is 0; .*config\.model\.weights"):
    check_config(tiny_config)
  tiny_config.model.weights = "infusenet.pth"
  check_config(tiny_config)


def test_small_networks_take_images_of_their_own_size(tiny_config):
  tiny_config.image_size = 28
  with pytest.raises(UserError, match="image_size is 28; expected a multiple of 16"):
    check_config(tiny_config)
  tiny_config.model.name = "ststnet"
  check_config(tiny_config)
  tiny_config.image_size = 20
  with pytest.raises(UserError, match="image_size is 20; expected at least 28"):
    check_config(tiny_config)
