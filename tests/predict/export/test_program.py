"""What is exported computes what `Networks` computes, from the same crops."""

import dataclasses

import jax
import numpy as np
import pytest

from configs import baselines
from infusenet_jax.clips.flow.strain import STRAINS
from infusenet_jax.clips.records import resize
from infusenet_jax.evaluate.calibration import Calibration
from infusenet_jax.predict.export.program import (
  _network_flow,
  _Resize,
  halved,
  make_program,
)
from infusenet_jax.training.trained import Made
from tests.conftest import make_tiny_config
from tests.predict.runs import crops, drawn, small_config


@pytest.mark.parametrize(("old", "new"), [(112, 64), (224, 112), (48, 32), (32, 32)])
def test_frames_shrink_as_those_of_records_do(old, new):
  """Bit for bit."""
  frames = np.random.default_rng(0).integers(0, 256, (2, old, old, 3), np.uint8)
  found = jax.jit(_Resize(old, new).frame)(frames)
  np.testing.assert_array_equal(found, [resize(frame, new) for frame in frames])


def test_frames_that_are_enlarged_differ_by_a_grey_level_at_most():
  frames = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 3), np.uint8)
  found = np.asarray(jax.jit(_Resize(20, 32).frame)(frames))
  expected = np.stack([resize(frame, 32) for frame in frames])
  assert np.abs(found - expected).max() <= 1


def test_what_records_hold_is_rounded_as_they_round():
  rng = np.random.default_rng(0)
  for scale in (1e-7, 1e-5, 1e-2, 1, 1e3):
    x = np.float32(rng.normal(0, scale, 10_000))
    found = jax.jit(halved)(x)
    np.testing.assert_array_equal(found, x.astype(np.float16).astype(np.float32))


@pytest.fixture(scope="module")
def infusenet(tmp_path_factory):
  """Two networks, calibrated, which see 32 of their crops' 48 pixels."""
  path = tmp_path_factory.mktemp("infusenet") / "x.safetensors"
  return drawn(make_tiny_config(), path, members=2, calibration=some_calibration())


def some_calibration() -> Calibration:
  return Calibration(np.linspace(0.5, 2, 12), np.linspace(-1, 1, 12))


@pytest.mark.parametrize("strain", ["textbook", "benchmark"])
def test_flow_is_scaled_and_rounded_as_that_of_records(infusenet, strain):
  networks = dataclasses.replace(infusenet, made=Made(48, strain=strain))
  given = crops(3)
  expected = networks.see(**given)["flow"].astype(np.float32)
  how = STRAINS[strain], _Resize(48, 32)
  found = np.asarray(jax.jit(lambda flow: _network_flow(flow, *how))(given["flow"]))
  assert np.abs(found - expected).max() < 1e-3  # A unit of float16, rarely.
  assert (found != expected).mean() < 1e-2


def ask(networks, given):
  program = make_program(networks)
  return jax.jit(program.function)(**{name: given[name] for name in program.inputs})


@pytest.mark.slow
def test_infusenet(infusenet):
  given = crops(3)
  logits = infusenet.logits(infusenet.see(**given))
  expected = infusenet.probabilities(**given)
  before = [np.array(leaf) for leaf in jax.tree.leaves(infusenet.weights)]
  found = ask(infusenet, given)
  np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
  np.testing.assert_allclose(found["logits"], logits, atol=1e-4)
  assert np.ptp(expected, axis=0).max() > 1e-3  # Of the clips.
  # Folding changes weights, and these are still those that were given.
  for one, other in zip(before, jax.tree.leaves(infusenet.weights), strict=True):
    np.testing.assert_array_equal(one, other)


def test_flow_that_is_the_same_everywhere_is_no_motion():
  """Products with a matrix would make of it what is not the same everywhere."""
  flow = np.full((1, 48, 48, 2), 0.7, np.float32)
  see = jax.jit(lambda x: _network_flow(x, STRAINS["textbook"], _Resize(48, 32)))
  np.testing.assert_array_equal(see(flow), 0)


@pytest.mark.parametrize(
  "name",
  [
    "ststnet",
    "off_apexnet",
    pytest.param("sssnet", marks=pytest.mark.slow),
    pytest.param("resnet18", marks=pytest.mark.slow),
  ],
)
def test_networks_that_look_at_flow_alone(tmp_path, name):
  config = small_config()
  config.model.name = name
  networks = drawn(config, tmp_path / "x.safetensors")
  given = crops(2)
  assert list(make_program(networks).inputs) == ["flow"]
  found = ask(networks, given)
  expected = networks.probabilities(**given)
  np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)


@pytest.mark.release
@pytest.mark.parametrize(
  "fields",
  [
    {"model.name": "magnified_branch"},
    {"model.name": "concatenated", "model.window_apex": False},
    {"model.infusion": "published", "model.gate": "batch"},
    {"model.reference": "signed", "model.more_amps": (5.0,)},
    {"model.name": "concatenated_input", "model.magnified": "difference"},
    {"model.magnified": "reconstructed", "train.magnifier": True},
    {"decide_by": "flow"},
  ],
)
def test_other_networks(tmp_path, fields):
  config = make_tiny_config()
  config.update_from_flattened_dict(fields)
  networks = drawn(config, tmp_path / "x.safetensors", members=2)
  given = crops(2)
  program = make_program(networks)
  assert ("window_apex" in program.inputs) == config.model.window_apex
  found = jax.jit(program.function)(**{name: given[name] for name in program.inputs})
  given = {n: x for n, x in given.items() if n in program.inputs or n == "apex"}
  expected = networks.probabilities(**given)
  np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)


def test_weights_take_half_the_bytes_where_that_loses_nothing(infusenet, tmp_path):
  config = baselines.get_config("off_apexnet,quickstart")
  networks = drawn(config, tmp_path / "x.safetensors")
  params, frozen, _ = networks.weights[0][0]
  numbers = sum(leaf.size for leaf in jax.tree.leaves((params, frozen)))
  assert make_program(networks).num_bytes < 2.1 * numbers
