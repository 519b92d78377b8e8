"""Small finished runs on clips of noise, for what opens them again."""

from pathlib import Path

from ml_collections import ConfigDict

from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.training import run
from tests.conftest import make_clips, make_tiny_config
from tests.training.conftest import compiled_network


def small_config(**fields) -> ConfigDict:
  """A network that is compiled in no time; one epoch."""
  config = make_tiny_config()
  config.folds = "all"
  config.model.name = "ststnet"
  config.train.epochs = 1
  config.update(fields)
  return config


def train(config: ConfigDict, workdir: Path) -> Path:
  """Trains on `make_clips()`; the workdir."""
  records = run.Records(make_clips(), dict.fromkeys(DATABASES, "a"))
  build, run.build_network = run.build_network, compiled_network
  measure, run.seconds_per_step = run.seconds_per_step, lambda *_: 1.0
  try:
    run.train_and_evaluate(config, workdir, lambda _: records)
  finally:
    run.build_network, run.seconds_per_step = build, measure
  return workdir
