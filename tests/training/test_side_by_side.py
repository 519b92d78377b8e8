"""Folds and seeds on groups of devices give what they give one after another."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from infusenet_jax.evaluate.predictions import read_predictions
from infusenet_jax.training import run as train
from infusenet_jax.training.engine import inputs
from tests.conftest import make_clips

ROOT = Path(__file__).parents[2]

# Two seeds of six folds of unequal length, on clips of noise.
RUN = """
import sys
from configs import quickstart
from infusenet_jax.training import run as train
from tests.conftest import make_clips

workdir, fold, data = sys.argv[1], *map(int, sys.argv[2:])
config = quickstart.get_config()
config.image_size, config.model.width, config.model.magnifier_weights = 32, 4, ""
config.train.update({"epochs": 2, "batch_size": 8, "checkpoint_epochs": 1})
# Rounding differs between one device and six, and Adam at a usual rate amplifies it.
config.train.update({"learning_rate": 1e-6, "magnifier": True})
config.seeds, config.mesh.fold, config.mesh.data = (45, 46), fold, data
clips = make_clips(57)
train.make_records = lambda config: None
train.records_folder = lambda config: None
train.load_clips = lambda folder, size: clips
train.records_identity = lambda folder: {}
train.say_time_needed = lambda *_: None
train.train_and_evaluate(config, workdir)
"""


def run(workdir, devices: int, fold: int, data: int = -1) -> np.ndarray:
  flags = f"--xla_force_host_platform_device_count={devices}"
  done = subprocess.run(
    [sys.executable, "-c", RUN, str(workdir), str(fold), str(data)],
    cwd=ROOT,
    env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  found = read_predictions([workdir / "predictions.csv"])
  order = np.lexsort((found.clip, found.subject, found.fold, found.seed))
  return found.logits[order]


@pytest.mark.slow
def test_six_folds_on_six_devices_give_what_one_gives(tmp_path):
  one = run(tmp_path / "one", devices=1, fold=1)
  six = run(tmp_path / "six", devices=6, fold=6)
  assert one.shape == six.shape == (2 * 57, 12)
  np.testing.assert_allclose(six, one, rtol=1e-3, atol=1e-3)
  folders = sorted(path.name for path in (tmp_path / "one" / "folds").iterdir())
  assert len(folders) == 12
  # Each fold's losses are those of its own clips, in its own order.
  losses = [
    [np.loadtxt(tmp_path / run / "folds" / name / "losses.csv", delimiter=",",
                skiprows=1) for name in folders]
    for run in ("one", "six")
  ]  # fmt: skip
  np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
  assert np.ptp(np.array(losses[0])[:, :, 1]) > 1e-3


def test_clips_that_do_not_fit_the_device_are_streamed_to_it(
  tiny_config, tmp_path, monkeypatch
):
  clips = make_clips()
  monkeypatch.setattr(train, "records_folder", lambda config: None)
  monkeypatch.setattr(train, "make_records", lambda config: None)
  monkeypatch.setattr(train, "load_clips", lambda folder, size: clips)
  monkeypatch.setattr(train, "records_identity", lambda folder: {})
  monkeypatch.setattr(train, "say_time_needed", lambda *_: None)
  tiny_config.model.name = "ststnet"
  tiny_config.folds = "samm"
  logits = []
  for name, fits in (("resident", True), ("streamed", False)):
    monkeypatch.setattr(inputs, "fits_device", lambda size, fits=fits: fits)
    train.train_and_evaluate(tiny_config, tmp_path / name)
    logits.append(read_predictions([tmp_path / name / "predictions.csv"]).logits)
  np.testing.assert_array_equal(*logits)
