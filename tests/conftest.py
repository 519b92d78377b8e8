"""Shared by all tests: a small config and clips drawn from noise."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import quickstart
from infusenet_jax.clips.labels import AUS, DATABASES
from infusenet_jax.clips.records import Clips

# Most of a test's time is compiling: what one process compiled, the next ones reuse.
CACHE = Path(__file__).parents[1] / ".pytest_cache" / "xla"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE)  # for processes that tests start
# A test's network runs for milliseconds, so compiling it less well takes less time.
FAST_COMPILING = "--xla_backend_optimization_level=1"
os.environ.setdefault("XLA_FLAGS", FAST_COMPILING)
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
  """A command that runs in this process takes the package's log over.

  It is given back before each test too: a fixture that many tests share runs commands.
  """
  give_log_back()
  yield
  give_log_back()


def give_log_back() -> None:
  # Where Abseil's handler is the root's, its verbosity becomes the root's level.
  logging.getLogger().setLevel(logging.WARNING)
  log = logging.getLogger("infusenet_jax")
  log.propagate, log.handlers[:] = True, []
  log.setLevel(logging.NOTSET)


def on_devices(count: int) -> dict[str, str]:
  """The environment of a process that has so many devices, all of them on the CPU."""
  flags = f"{FAST_COMPILING} --xla_force_host_platform_device_count={count}"
  return os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}


def make_tiny_config() -> ConfigDict:
  """The quickstart at the smallest size that still has every part."""
  config = quickstart.get_config()
  config.image_size = 32
  config.model.width = 4
  config.model.magnifier_weights = ""
  config.train.update({"epochs": 2, "batch_size": 8, "checkpoint_epochs": 1})
  config.folds = "casme2,samm"
  return config


@pytest.fixture
def tiny_config() -> ConfigDict:
  return make_tiny_config()


def make_clips(count: int = 30, size: int = 32, seed: int = 0) -> Clips:
  """Clips of noise, spread over the six databases; no label can be learned."""
  rng = np.random.default_rng(seed)
  frame = lambda: rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)  # noqa: E731
  text = lambda values: np.array(list(values))  # noqa: E731
  return Clips(
    flow=rng.random((count, size, size, 3)).astype(np.float16),
    flow_range=np.tile(np.float32([[[0], [1]]]), (count, 1, 3)),
    onset=frame(),
    apex=frame(),
    window_apex=frame(),
    labels=(rng.random((count, len(AUS))) < 0.3).astype(np.uint8),
    database=text(list(DATABASES)[i % 6] for i in range(count)),
    subject=text(f"s{i // 6}" for i in range(count)),
    clip=text(f"clip{i}" for i in range(count)),
    simulated=True,
  )
