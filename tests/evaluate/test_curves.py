"""Curves and areas beside scikit-learn's: ties, one kind of label, and by hand."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn import metrics

from infusenet_jax.evaluate.curves import (
  average_precision,
  precision_recall_curve,
  roc_auc,
  roc_curve,
)

# Few different scores, so that most draws have ties within and across the labels.
CLIPS = st.lists(
  st.tuples(st.integers(0, 1), st.sampled_from([-2.5, -1.0, 0.0, 0.25, 3.0])),
  min_size=2,
  max_size=30,
)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(clips=CLIPS)
def test_curves_and_areas_equal_scikit_learns(clips):
  labels, scores = np.array(clips).T
  kinds = set(labels.tolist())
  if kinds == {0.0, 1.0}:
    false, true, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(roc_curve(labels, scores).T, (false, true), atol=1e-12)
    expected = metrics.roc_auc_score(labels, scores)
    assert roc_auc(labels, scores) == pytest.approx(expected, abs=1e-12)
  else:
    assert roc_curve(labels, scores).shape == (0, 2)
    assert np.isnan(roc_auc(labels, scores))
  if 1.0 in kinds:
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    found = precision_recall_curve(labels, scores)[::-1].T
    # scikit-learn adds a point at recall 0, which no threshold has.
    np.testing.assert_allclose(found, (recall[:-1], precision[:-1]), atol=1e-12)
    expected = metrics.average_precision_score(labels, scores)
    assert average_precision(labels, scores) == pytest.approx(expected, abs=1e-12)
  else:
    assert precision_recall_curve(labels, scores).shape == (0, 2)
    assert np.isnan(average_precision(labels, scores))


def test_the_area_is_how_often_a_shown_au_scores_higher_ties_half():
  assert roc_auc([1, 1, 0, 0], [3, 1, 1, 0]) == (2 + 0.5 + 1) / 4
  assert roc_auc([1, 0], [2.0, 2.0]) == 0.5
  np.testing.assert_array_equal(roc_curve([1, 0], [2.0, 2.0]), [[0, 0], [1, 1]])
