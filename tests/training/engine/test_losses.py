"""Losses against closed forms, their gradients, and what they are told of a fold."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infusenet_jax.evaluate.predictions import read_predictions
from infusenet_jax.evaluate.protocol import folds
from infusenet_jax.runtime.run_files import fold_folder
from infusenet_jax.training.engine import losses
from infusenet_jax.training.engine.losses import LOSSES, make_objective, masked_mean
from tests.conftest import make_clips
from tests.training.conftest import start

NAMES = tuple(LOSSES)


def by_hand(name: str, z: float, y: int, prior: float) -> float:
  """The loss of one logit by its formula, in Python's floats."""
  sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
  if name == "logit_adjusted":
    name, z = "bce", z + np.log(prior / (1 - prior))
  p = sigmoid(z)
  if name == "bce":
    return -np.log(p) if y else -np.log(1 - p)
  yes, no = (1 - prior) * (1 - p) ** 2 * -np.log(p), prior * p**2 * -np.log(1 - p)
  return yes if y else no


def make_batch(count: int = 6, seed: int = 0) -> tuple[np.ndarray, dict]:
  rng = np.random.default_rng(seed)
  batch = {
    "labels": (rng.random((count, 12)) < 0.4).astype(np.uint8),
    "weights": np.ones(count, np.float32),
    "prior": np.tile(rng.uniform(0.02, 0.6, 12), (count, 1)),
  }
  return rng.normal(0, 2, (count, 12)), batch


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_gradients_are_those_of_the_formulas(name):
  z, batch = make_batch()
  with jax.enable_x64(True):
    value, slopes = jax.value_and_grad(
      lambda z: masked_mean(LOSSES[name], z, batch)
    )(jnp.asarray(z))  # fmt: skip
    assert value.dtype == jnp.float64
  each = np.vectorize(lambda *of: by_hand(name, *of))
  expected = each(z, batch["labels"], batch["prior"]).mean()
  np.testing.assert_allclose(value, expected, rtol=1e-12)
  step = 1e-6
  ends = [each(z + s, batch["labels"], batch["prior"]) for s in (step, -step)]
  differences = (ends[0] - ends[1]) / (2 * step) / z.size
  np.testing.assert_allclose(slopes, differences, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_clips_at_weight_zero_add_nothing_to_the_loss(name):
  z, batch = make_batch()
  z = jnp.asarray(z, jnp.float32)
  first = {key: x[:4] for key, x in batch.items()}
  alone = masked_mean(LOSSES[name], z[:4], first)
  batch["weights"][4:] = 0
  np.testing.assert_allclose(masked_mean(LOSSES[name], z, batch), alone, rtol=1e-6)
  nothing = batch | {"weights": 0 * batch["weights"]}
  assert masked_mean(LOSSES[name], z, nothing) == 0


@pytest.mark.parametrize("name", NAMES)
def test_losses_stay_finite_whatever_a_network_says(name):
  labels = np.zeros((2, 12), np.uint8)
  labels[1] = 1
  for z in (-1e4, 1e4):
    for prior in (1e-4, 1 - 1e-4):
      batch = {"labels": labels, "weights": np.ones(2, np.float32)}
      batch["prior"] = np.full((2, 12), prior, np.float32)
      value, slopes = jax.value_and_grad(
        lambda z, batch=batch: masked_mean(LOSSES[name], z, batch)
      )(jnp.full((2, 12), z))
      assert np.isfinite(value) and np.isfinite(slopes).all()


def test_bfloat16_logits_are_summed_in_float32():
  z, batch = make_batch()
  found = masked_mean(LOSSES["focal"], jnp.asarray(z, jnp.bfloat16), batch)
  assert found.dtype == jnp.float32


def test_priors_are_shares_and_never_0_or_1():
  labels = np.zeros((8, 12), np.uint8)
  labels[:2, 1], labels[:, 2] = 1, 1
  found = losses.priors(labels)
  np.testing.assert_allclose(found[:4], [0.5 / 8, 2 / 8, 7.5 / 8, 0.5 / 8])
  assert losses.priors(labels[:1])[0] == 0.5


def test_the_adjusted_logit_of_a_network_that_knows_nothing_is_0():
  """Of all constant logits 0 has the lowest loss: the prior is in the adjustment."""
  labels = (np.random.default_rng(0).random((200, 12)) < 0.1).astype(np.uint8)
  prior = np.tile(losses.priors(labels), (200, 1))
  batch = {"labels": labels, "weights": np.ones(200, np.float32), "prior": prior}
  slope = jax.grad(
    lambda z: masked_mean(LOSSES["logit_adjusted"], z + 0 * prior, batch)
  )
  assert abs(slope(0.0)) < 1e-7


def test_an_aus_positives_weigh_as_much_as_its_negatives_in_the_focal_loss():
  labels = (np.random.default_rng(1).random((200, 12)) < 0.1).astype(np.uint8)
  prior = np.tile(losses.priors(labels), (200, 1))
  each = LOSSES["focal"](jnp.zeros((200, 12)), labels, {"prior": prior})
  np.testing.assert_allclose(
    (each * labels).sum(0), (each * (1 - labels)).sum(0), rtol=1e-4
  )


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_fold_is_told_the_priors_of_its_training_clips(tiny_config, name):
  tiny_config.train.loss = name
  objective, clips = make_objective(tiny_config), make_clips()
  for fold in folds("cd6me", clips.database, clips.subject):
    told = objective.arrays(fold, clips)
    expected = clips.labels[clips.database != fold.name].mean(0)
    np.testing.assert_allclose(told["prior"], np.tile(expected, (30, 1)), rtol=1e-6)
    assert {k: x.shape[1:] for k, x in told.items()} == objective.shapes


def test_without_a_loss_in_its_config_a_run_minimises_cross_entropy(tiny_config):
  del tiny_config.train.loss  # As in those from before there was a choice.
  objective, clips = make_objective(tiny_config), make_clips()
  (fold, *_) = folds("cd6me", clips.database, clips.subject)
  assert not objective.shapes and not objective.arrays(fold, clips)
  z, batch = make_batch()
  z = jnp.asarray(z, jnp.float32)
  model = SimpleNamespace(heads=lambda *_, **__: (z, 2 * z), magnified=None)
  found = objective.loss(model, batch | {"flow": jnp.zeros((6, 4, 4, 3))})
  expected = sum(masked_mean(LOSSES["bce"], x, batch) for x in (z, 2 * z))
  np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.slow
def test_labels_of_the_database_that_is_tested_change_nothing(run_config, tmp_path):
  run_config.train.loss, run_config.folds = "focal", "samm"
  clips = make_clips()
  others = dataclasses.replace(clips, labels=clips.labels.copy())
  others.labels[clips.database == "samm"] ^= 1
  trained = dataclasses.replace(clips, labels=clips.labels.copy())
  trained.labels[clips.database == "mmew"] ^= 1
  found = []
  for number, these in enumerate((clips, others, trained)):
    start(run_config, tmp_path / str(number), these)
    folder = fold_folder(tmp_path / str(number), 45, "samm")
    logits = read_predictions([folder / "predictions.csv"]).logits
    found.append((logits, (folder / "losses.csv").read_text()))
  np.testing.assert_array_equal(found[0][0], found[1][0])
  assert found[0][1] == found[1][1] != found[2][1]
