"""Runs on clips of noise; a network is compiled once for all tests that need it."""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jax.sharding import Mesh
from ml_collections import ConfigDict

from infusenet_jax.clips.records import Clips
from infusenet_jax.training import run
from infusenet_jax.training.engine.losses import Objective
from infusenet_jax.training.engine.network import Network, build_network
from infusenet_jax.training.results import Results
from infusenet_jax.training.run import Records, train_and_evaluate
from tests.conftest import make_clips, make_tiny_config

# What a network is built from; `train.checkpoint_epochs` is not in it.
FIELDS = ("model", "train", "image_size", "dtype")


@functools.cache
def _network(text: str, mesh: Mesh) -> Network:
  return build_network(ConfigDict(json.loads(text)), mesh)


def compiled_network(
  config: ConfigDict, mesh: Mesh, objective: Objective | None = None
) -> Network:
  """`build_network`, which builds a network again only where something differs."""
  if objective is not None:
    return build_network(config, mesh, objective=objective)
  fields = {name: config.to_dict()[name] for name in FIELDS}
  fields["train"].pop("checkpoint_epochs")
  return _network(json.dumps(fields, sort_keys=True), mesh)


@pytest.fixture(scope="session", autouse=True)
def networks_compiled_once() -> Iterator[None]:
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(run, "build_network", compiled_network)
    patch.setattr(run, "seconds_per_step", lambda *_: 1.0)  # It makes two steps.
    yield


@pytest.fixture
def clips() -> Clips:
  return make_clips()


def start(config: ConfigDict, workdir: Path, clips: Clips) -> Results:
  """`train_and_evaluate` on `clips`."""
  records = Records(clips, {"casme2": "a"})
  return train_and_evaluate(config, workdir, lambda _: records)


@pytest.fixture
def train(clips) -> Callable[[ConfigDict, Path], Results]:
  return functools.partial(start, clips=clips)


def make_run_config() -> ConfigDict:
  """The tiny config of a network that compiles fast: how runs go on is the same."""
  config = make_tiny_config()
  config.model.name = "ststnet"
  return config


@pytest.fixture
def run_config() -> ConfigDict:
  return make_run_config()


@pytest.fixture(scope="session")
def finished(networks_compiled_once, tmp_path_factory) -> Results:
  """An undisturbed run of `run_config`: its results; its workdir is to be copied."""
  return start(make_run_config(), tmp_path_factory.mktemp("finished"), make_clips())
