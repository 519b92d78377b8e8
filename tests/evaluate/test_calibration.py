"""Calibrated probabilities: known answers, rare AUs, and what a fit must not see."""

import dataclasses

import numpy as np
import pytest

from infusenet_jax.clips.labels import AUS, DATABASES
from infusenet_jax.evaluate import calibration
from infusenet_jax.evaluate.calibration import (
  Calibration,
  calibration_error,
  fit,
  held_out,
  leave_one_out,
  log_loss,
  reliability,
  sigmoid,
)
from infusenet_jax.evaluate.predictions import Predictions, write_predictions
from infusenet_jax.runtime.errors import UserError


def drawn(count: int, temperature, bias, seed: int = 0):
  """Logits, and labels that are true as often as sigmoid(logit / T + b) says."""
  rng = np.random.default_rng(seed)
  logits = rng.normal(-2, 3, (count, len(AUS)))
  return logits, rng.random(logits.shape) < sigmoid(logits / temperature + bias)


@pytest.fixture(scope="module")
def predictions() -> Predictions:
  logits, labels = drawn(240, 2.0, 0.5)
  count = len(logits)
  keys = np.array([list(DATABASES)[i % 6] for i in range(count)])
  return Predictions(
    database=np.tile(keys, 2),
    subject=np.repeat("1", 2 * count),
    clip=np.tile([f"c{i:03d}" for i in range(count)], 2),
    fold=np.tile(keys, 2),
    seed=np.repeat([45, 46], count),
    logits=np.concatenate([logits - 1, logits + 1]),
    labels=np.tile(labels.astype(np.uint8), (2, 1)),
    simulated=True,
  )


def test_a_fit_finds_the_temperatures_and_biases_that_labels_were_drawn_with():
  temperature, bias = np.linspace(0.5, 3, 12), np.linspace(-1, 2, 12)
  found = fit(*drawn(40_000, temperature, bias))
  np.testing.assert_allclose(found.temperature, temperature, rtol=0.1)
  np.testing.assert_allclose(found.bias, bias, atol=0.1)


def test_what_was_fitted_is_calibrated():
  found = fit(*drawn(5000, 2.5, -1.0))
  logits, labels = drawn(5000, 2.5, -1.0, seed=1)
  assert calibration_error(sigmoid(logits), labels) > 0.05
  assert calibration_error(found(logits), labels) < 0.01
  assert log_loss(found(logits), labels) < log_loss(sigmoid(logits), labels)


@pytest.mark.parametrize("positives", [0, 1, 3])
def test_a_rare_au_stays_near_what_holds_for_all(positives):
  logits, labels = drawn(300, 2.0, 0.5)
  labels[:, 0] = False
  labels[:positives, 0] = True
  found = fit(logits, labels)
  assert 1 < found.temperature[0] < 4 and -4 < found.bias[0] < 1.5
  # Without any prior one that is never shown would get a bias of minus infinity.
  assert 0.0 < found(logits)[:, 0].max() < 1.0


def test_more_stays_more_likely_even_where_an_au_is_read_the_wrong_way_round():
  logits, labels = drawn(300, 1.0, 0.0)
  labels[:, 3] = ~labels[:, 3]
  assert (fit(logits, labels).temperature > 0).all()


def test_labels_that_a_logit_separates_give_finite_parameters():
  logits = np.tile(np.linspace(-50, 50, 40)[:, None], 12)
  found = fit(logits, logits > 0)
  assert np.isfinite(found.temperature).all() and (found.temperature > 0.01).all()
  np.testing.assert_allclose(found(logits), logits > 0, atol=0.2)


def test_a_fit_of_nothing_or_of_other_shapes_is_refused():
  for logits, labels in ((np.zeros((0, 12)),) * 2, (np.zeros((3, 12)), np.zeros(3))):
    with pytest.raises(ValueError, match="expected the same"):
      fit(logits, labels)


def test_reliability_and_its_error_have_known_answers():
  probability = np.array([0.05, 0.05, 0.95, 1.0])
  labels = np.array([0, 1, 1, 1])
  count, mean, often = reliability(probability, labels)
  assert count.tolist() == [2, *[0] * 8, 2]
  assert mean[[0, -1]] == pytest.approx([0.05, 0.975])
  assert often[[0, -1]] == pytest.approx([0.5, 1.0]) and np.isnan(often[5])
  assert calibration_error(probability, labels) == pytest.approx(0.5 * (0.45 + 0.025))
  assert log_loss([0.5, 0.25], [1, 0]) == pytest.approx(-np.log([0.5, 0.75]).mean())


def test_no_database_has_a_say_in_its_own_fit(predictions):
  one = held_out(predictions)
  before = leave_one_out(one)
  mine = one.database == "samm"
  other = dataclasses.replace(
    one, labels=np.where(mine[:, None], 1 - one.labels, one.labels)
  )
  after = leave_one_out(other)
  np.testing.assert_array_equal(after[mine], before[mine])
  assert (after[~mine] != before[~mine]).all()
  with pytest.raises(UserError, match="samm alone; leaving one database out"):
    leave_one_out(one[mine])


def test_the_seeds_logits_are_averaged(predictions):
  one = held_out(predictions)
  assert len(one) == 240
  order = np.lexsort((one.clip,))
  expected = predictions.logits[:240] + 1
  np.testing.assert_allclose(one.logits[order], expected[np.argsort(one.clip[order])])


def test_a_calibration_survives_json():
  found = fit(*drawn(100, 2.0, 0.5))
  again = Calibration.from_dict(found.to_dict())
  np.testing.assert_array_equal(again.temperature, found.temperature)
  np.testing.assert_array_equal(again.bias, found.bias)
  with pytest.raises(ValueError, match="12 temperatures"):
    Calibration.from_dict({"temperature": [1.0], "bias": [0.0]})


def test_the_command_prints_and_writes_tables_that_say_simulated(
  predictions, tmp_path, capsys
):
  write_predictions(tmp_path / "run" / "predictions.csv", predictions)
  calibration.main([str(tmp_path / "run"), f"--out={tmp_path / 'out.md'}"])
  text = capsys.readouterr().out
  assert (tmp_path / "out.md").read_text() == text
  headings = [line for line in text.splitlines() if line.startswith("#")]
  assert len(headings) == 2 and all("simulated data" in x for x in headings)
  assert text.count("| AU") == 13 and "| casme3a" in text
  assert "mean logits of seeds 45, 46" in text
  assert max(map(len, text.splitlines()[:6])) <= 88
  with pytest.raises(UserError, match="cannot be read"):
    calibration.main([str(tmp_path / "absent")])
