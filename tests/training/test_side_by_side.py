"""Folds and seeds on groups of devices give what they give one after another."""

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from infusenet_jax.evaluate.predictions import read_predictions
from infusenet_jax.training.engine import inputs
from tests.conftest import on_devices

ROOT = Path(__file__).parents[2]

# Two seeds of six folds, whose epochs have six or seven steps, on clips of noise.
RUN = """
import dataclasses, os, signal, sys
from configs import quickstart
from infusenet_jax.runtime.errors import Preempted
from infusenet_jax.training import run
from tests.conftest import make_clips

workdir, model, *numbers = sys.argv[1:]
fold, data, stop, dispatch = map(int, numbers)
config = quickstart.get_config()
config.image_size, config.model.width, config.model.magnifier_weights = 32, 4, ""
config.model.name = model
config.train.loss = os.environ.get("LOSS", "bce")
config.train.update({"epochs": 2, "batch_size": 8, "checkpoint_epochs": 1})
# Rounding differs between one device and six, and Adam at a usual rate amplifies it.
config.train.update({"learning_rate": 1e-6, "magnifier": True})
config.seeds, config.mesh.fold, config.mesh.data = (45, 46), fold, data
records = run.Records(make_clips(58), {})
made, steps = run.build_network, []


def build(config, mesh, **_):  # SIGTERM comes at dispatch `stop`.
  network = made(config, mesh, dispatch)

  def step(*arguments):
    steps.append(1)
    if len(steps) == stop:
      os.kill(os.getpid(), signal.SIGTERM)
    return network.train_steps(*arguments)

  return dataclasses.replace(network, train_steps=step)


run.build_network = build
run.seconds_per_step = lambda *_: 1.0
try:
  run.train_and_evaluate(config, workdir, lambda _: records)
except Preempted:
  sys.exit(75)
"""


MODELS = (
  pytest.param("ststnet", marks=pytest.mark.slow),  # Compiles in seconds.
  pytest.param("infusenet", marks=pytest.mark.release),
)


def run(
  workdir,
  devices: int,
  fold: int,
  data: int = -1,
  stop: int = 0,
  dispatch: int = 1,
  model: str = "ststnet",
  loss: str = "bce",
) -> int:
  """Starts the run, or goes on with it, on so many devices; its exit status."""
  numbers = (fold, data, stop, dispatch)
  done = subprocess.run(
    [sys.executable, "-c", RUN, workdir, model, *map(str, numbers)],
    cwd=ROOT,
    env=on_devices(devices) | {"LOSS": loss},
    capture_output=True,
    text=True,
  )
  assert done.returncode in (0, 75), done.stderr
  return done.returncode


def logits(workdir) -> np.ndarray:
  found = read_predictions([workdir / "predictions.csv"])
  order = np.lexsort((found.clip, found.subject, found.fold, found.seed))
  return found.logits[order]


def assert_same_losses(one: Path, other: Path) -> None:
  paths = list(one.glob("folds/*/losses.csv"))
  assert len(paths) == 12
  for path in paths:
    both = (path, other / path.relative_to(one))
    losses = [np.loadtxt(p, delimiter=",", skiprows=1) for p in both]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.release
@pytest.mark.parametrize("model", MODELS)
def test_six_folds_on_six_devices_give_what_one_gives(model, tmp_path):
  assert run(tmp_path / "one", devices=1, fold=1, model=model) == 0
  assert run(tmp_path / "six", devices=6, fold=6, model=model) == 0
  one, six = logits(tmp_path / "one"), logits(tmp_path / "six")
  assert one.shape == six.shape == (2 * 58, 12)
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


@pytest.mark.release
@pytest.mark.parametrize("model", MODELS)
def test_folds_of_unequal_length_in_dispatches_of_four_steps_give_what_one_gives(
  model, tmp_path
):
  """Epochs of six and of seven steps, so that no dispatch ends where they do."""
  run_it = functools.partial(run, model=model)
  assert run_it(tmp_path / "one", devices=1, fold=1) == 0
  assert run_it(tmp_path / "four", devices=6, fold=6, stop=3, dispatch=4) == 75
  assert run_it(tmp_path / "four", devices=6, fold=6, dispatch=4) == 0
  one, four = logits(tmp_path / "one"), logits(tmp_path / "four")
  np.testing.assert_allclose(four, one, rtol=1e-3, atol=1e-3)
  assert_same_losses(tmp_path / "one", tmp_path / "four")


@pytest.mark.release
@pytest.mark.parametrize("dispatch", [1, 4])
def test_folds_side_by_side_are_told_each_its_own_priors(tmp_path, dispatch):
  go = functools.partial(run, model="ststnet", loss="focal")
  assert go(tmp_path / "one", devices=1, fold=1) == 0
  assert go(tmp_path / "six", devices=6, fold=6, dispatch=dispatch) == 0
  one, six = logits(tmp_path / "one"), logits(tmp_path / "six")
  np.testing.assert_allclose(six, one, rtol=1e-3, atol=1e-3)
  assert_same_losses(tmp_path / "one", tmp_path / "six")


@pytest.mark.slow
def test_a_run_goes_on_however_its_folds_are_spread_over_devices(tmp_path):
  parts, go_on = tmp_path / "parts", run
  # Stopped in its fourth fold on one device, and again with six folds side by side.
  assert go_on(parts, devices=1, fold=1, stop=45) == 75
  assert go_on(parts, devices=6, fold=6, stop=5) == 75
  assert go_on(parts, devices=4, fold=1, data=4) == 0
  assert go_on(tmp_path / "whole", devices=1, fold=1) == 0
  np.testing.assert_allclose(
    logits(tmp_path / "parts"), logits(tmp_path / "whole"), rtol=1e-3, atol=1e-3
  )


@pytest.mark.slow
def test_clips_that_do_not_fit_the_device_are_streamed_to_it(
  tiny_config, train, tmp_path, monkeypatch
):
  tiny_config.model.name, tiny_config.train.loss = "ststnet", "focal"
  tiny_config.folds = "samm"
  found = []
  for name, fits in (("resident", True), ("streamed", False)):
    monkeypatch.setattr(inputs, "fits_device", lambda size, fits=fits: fits)
    train(tiny_config, tmp_path / name)
    found.append(logits(tmp_path / name))
  np.testing.assert_array_equal(*found)
