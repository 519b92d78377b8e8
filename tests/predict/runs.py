"""Small finished runs, networks without training, and clips of noise for both."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.clips.schema import FRAMES
from infusenet_jax.predict.weights.networks import Networks, load_run
from infusenet_jax.predict.weights.packed import write_packed
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.training import run
from infusenet_jax.training.engine.network import build_network
from infusenet_jax.training.trained import Made
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


def seen(clips, which=slice(None)) -> dict[str, np.ndarray]:
  return {name: getattr(clips, name)[which] for name in ("flow", *FRAMES)}


def crops(count: int, size: int = 48) -> dict[str, np.ndarray]:
  """What `probabilities` takes: frames of noise, and a flow that is not."""
  frames = seen(make_clips(count, size))
  x, y = np.meshgrid(*[np.linspace(-2, 2, size)] * 2)
  flow = [np.stack([np.sin(x * i + y), np.cos(y * i)], -1) for i in range(count)]
  return {name: frames[name] for name in FRAMES} | {"flow": np.float32(flow)}


def drawn(
  config: ConfigDict, path: Path, *, members: int = 1, calibration=None, made=None
) -> Networks:
  """Networks that were never trained, by way of a file of packed ones."""
  rng = np.random.default_rng(0)

  def draw(like):
    spread = 1 / np.sqrt(max(1, np.prod(like.shape[:-1])))
    return rng.normal(0, spread, like.shape).astype(like.dtype)

  def keep(place, like):  # Means and variances, and keys of dropout.
    if jnp.issubdtype(like.dtype, jax.dtypes.prng_key):
      return jax.random.key(0)
    is_mean = "mean" in jax.tree_util.keystr(place)
    return np.full(like.shape, 0 if is_mean else 1, like.dtype)

  *parameters, rest = build_network(config, device_mesh(1)).like
  content = {
    "config": config,
    "members": [(seed, "all") for seed in range(members)],
    "weights": [
      (*jax.tree.map(draw, parameters), jax.tree_util.tree_map_with_path(keep, rest))
      for _ in range(members)
    ],
    "made": made or Made(48),
    "calibration": calibration,
    "card": {"name": "drawn", "simulated": True},
  }
  write_packed(path, **content)
  return load_run(path)
