import re

import numpy as np
import pytest

from infusenet_jax.clips.labels import AUS
from infusenet_jax.evaluate.calibration import calibration_error, log_loss, sigmoid
from infusenet_jax.evaluate.curves import roc_curve
from infusenet_jax.evaluate.detection import detect
from infusenet_jax.evaluate.report.panels import panels, path, trust
from tests.evaluate.test_detection import make_predictions


def points(drawn):
  """The corners of a path, (K, 2) in [0, 1], with 1 above."""
  x = y = 0.0
  found = []
  for letter, numbers in re.findall(r"([MLHV])([\d. ]+)", drawn):
    values = [float(number) for number in numbers.split()]
    if letter in "ML":
      x, y = values
    elif letter == "H":
      (x,) = values
    else:
      (y,) = values
    found.append((x / 100, 1 - y / 100))
  return np.array(found)


def test_a_path_keeps_corners_alone():
  line = np.array([[0, 0], [0, 0.25], [0, 0.5], [0.5, 0.5], [1, 1], [1, 1]])
  assert path(line) == "M0 100V50H50L100 0"
  assert path(np.empty((0, 2))) == ""
  back = np.array([[0, 0], [0, 0.5], [0, 0.25]])
  assert path(back) == "M0 100V50V75"


def test_paths_are_the_curves_to_a_tenth_of_a_percent():
  rng = np.random.default_rng(0)
  labels = rng.random(500) < 0.3
  curve = roc_curve(labels, rng.normal(size=500) + labels)
  drawn = points(path(curve))
  x, y = curve.T
  for at in np.linspace(0.013, 0.987, 50):  # Between the steps, where it is level.
    ours = np.interp(at, drawn[:, 0], drawn[:, 1])
    near = y[np.abs(x - at) < 0.005]
    assert near.min() - 0.002 <= ours <= near.max() + 0.002


def test_the_area_below_a_drawn_precision_recall_curve_is_average_precision():
  one = make_predictions()
  for panel in panels(one, detect(one)):
    for view in panel.views:
      if not view.precision_recall:
        assert np.isnan(view.average_precision)
        continue
      x, y = points(view.precision_recall).T
      area = (np.diff(x) * (y[1:] + y[:-1]) / 2).sum()
      assert 100 * area == pytest.approx(view.average_precision, abs=0.5)


def test_panels_have_a_view_of_all_and_of_each_database():
  one = make_predictions()
  found = detect(one)
  first, second, *_ = made = panels(one, found)
  assert [panel.au for panel in made] == list(AUS)
  assert [view.key for view in first.views] == ["all", "casme2", "samm", "own"]
  assert [view.name for view in first.views][1:] == ["CASME II", "SAMM", "own"]
  np.testing.assert_allclose(
    [view.auc for view in second.views], 100 * found.auc[[-1, 0, 1, 2], 1]
  )
  never = first.views[2]  # AU1 in SAMM.
  assert never.roc == never.precision_recall == "" and np.isnan(never.auc)
  assert never.positive == 0
  false, recall, precision = second.views[0].point
  assert recall == pytest.approx(100 * found.recall[-1, 1])
  assert precision == pytest.approx(100 * found.precision[-1, 1])
  _, fp, _, tn = found.counts[-1, 1]
  assert false == pytest.approx(100 * fp / (fp + tn))


def test_trust_is_by_au_and_by_database_in_the_order_of_the_folds():
  one = make_predictions()
  before, after = trust(one)
  p = sigmoid(one.logits)
  assert [name for name, *_ in before.by_au] == [*(f"AU{au}" for au in AUS), "all"]
  assert [row[0] for row in after.by_database] == ["CASME II", "SAMM", "own", "all"]
  assert before.by_au[1][1:] == pytest.approx(
    (
      100 * calibration_error(p[:, 1], one.labels[:, 1]),
      log_loss(p[:, 1], one.labels[:, 1]),
    )
  )
  assert before.by_database[-1][1] == pytest.approx(
    100 * calibration_error(p, one.labels)
  )
  assert sum(dot.count for dot in before.dots) == one.labels.size
  assert max(dot.radius for dot in before.dots) == 5
  (alone,) = trust(one[one.database == "samm"])
  assert len(alone.by_database) == 2
