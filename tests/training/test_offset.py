"""Runs of networks that look at the offset: with it, without it, in a study."""

import dataclasses

import numpy as np
import pytest

from configs import baselines, study
from infusenet_jax.runtime.configs import shipped
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training import run
from infusenet_jax.training.engine.config import check_config
from infusenet_jax.training.engine.inputs import input_arrays, make_inputs
from infusenet_jax.training.engine.network import build_network, initial_state
from infusenet_jax.training.study import every_variant, variant_config
from tests.conftest import make_clips


@pytest.fixture
def config(run_config):
  run_config.model.update(baselines.MODELS["resnet18_difference"])
  run_config.model.reference = "offset"
  run_config.simulated.offset = True
  run_config.folds = "samm"
  run_config.train.mirror = True
  return run_config


def with_offset(clips):
  return dataclasses.replace(clips, offset=make_clips(seed=1).onset)


@pytest.mark.slow
def test_a_run_sees_it(config, clips, tmp_path):
  records = run.Records(with_offset(clips), {"samm": "a"})
  found = run.train_and_evaluate(config, tmp_path, lambda _: records)
  assert np.isfinite(found.predictions.logits).all()


@pytest.mark.slow
def test_clips_without_it_are_refused_in_one_line(config, clips, train, tmp_path):
  with pytest.raises(UserError, match="hold no offset, which the network looks at"):
    train(config, tmp_path)


def test_records_without_it_are_refused_before_anything_is_trained(
  config, tmp_path, monkeypatch
):
  folder = tmp_path / "records/samm/1.0.0"
  folder.mkdir(parents=True)
  (folder / "dataset_info.json").write_text("{}")
  (folder / "metadata.json").write_text('{"simulated": false}')
  config.data_dir, config.simulated.offset = str(tmp_path / "records"), False
  monkeypatch.setattr(run, "say_time_needed", lambda *_: None)
  monkeypatch.setattr(run, "warn_of_large_batch", lambda *_: None)
  with pytest.raises(UserError, match=r"was built without the offset, which config\."):
    run.train_and_evaluate(config, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["offset", "offset_mean"])
def test_cached_and_streamed_clips_give_the_same_logits(tiny_config, clips, reference):
  config, clips, logits = tiny_config, with_offset(clips), []
  config.model.reference, config.simulated.offset = reference, True
  mesh = device_mesh(config.train.batch_size)
  for trained in (False, True):
    config.train.magnifier = trained
    network = build_network(config, mesh)
    state = initial_state(config, network, 0)
    arrays = input_arrays(config, network, state, clips)
    assert ("offset" in arrays) == trained
    inputs = make_inputs(arrays, config.train.batch_size, mesh, 1)
    batch = inputs.take(np.arange(config.train.batch_size))
    rotations = network.rotate(state.weights)
    logits.append(np.asarray(network.eval_step(state.weights, rotations, batch)))
  np.testing.assert_allclose(*logits, atol=1e-4)


def test_a_study_gives_it_to_those_that_see_it_alone():
  config = shipped("study").get_config("reference")
  for name in every_variant(config):
    variant = variant_config(config, name)
    check_config(variant)
    both = name.endswith(tuple(study.BOTH_ENDS))
    assert variant.simulated.offset == both
    assert variant.model.reference.startswith("offset") == both
