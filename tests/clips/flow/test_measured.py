"""Ways of measuring flow agree on a motion that they all can see."""

import sys

import cv2
import numpy as np
import pytest

from infusenet_jax.clips.flow.measured import make_measure
from infusenet_jax.clips.flow.strain import benchmark_strain
from infusenet_jax.runtime.errors import UserError
from tests.data_prep.trees import draw_frame


@pytest.fixture(scope="module")
def pairs():
  frames = [draw_frame(shift).mean(-1).astype(np.float32) for shift in (0, 1.0)]
  still = np.stack([frames[0], frames[0]])
  return still, np.stack([frames[1], frames[0]])


@pytest.mark.parametrize(
  "flow", [pytest.param("infusenet", marks=pytest.mark.slow), "tvl1"]
)
def test_a_shift_to_the_right_is_found(pairs, flow):
  if flow == "tvl1":
    pytest.importorskip("skimage")
  field = make_measure(flow, "textbook")(*pairs)
  assert field.shape == (2, 64, 64, 3) and field.dtype == np.float16
  moved, still = field.astype(np.float32)
  inner = moved[12:-12, 12:-12]
  np.testing.assert_allclose(inner.mean((0, 1))[:2], (1, 0), atol=0.25)
  np.testing.assert_allclose(still, 0, atol=1e-3)


@pytest.mark.slow
def test_the_benchmarks_strain_is_measured_where_it_is_asked_for(pairs):
  fields = [
    make_measure("infusenet", name)(*pairs)[0] for name in ("textbook", "benchmark")
  ]
  np.testing.assert_array_equal(fields[0][..., :2], fields[1][..., :2])
  expected = benchmark_strain(fields[1][..., :2].astype(np.float32))
  np.testing.assert_allclose(fields[1][..., 2], expected, atol=5e-3)
  assert cv2.norm(fields[0].astype(np.float32), fields[1].astype(np.float32)) > 1


def test_a_missing_package_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "skimage", None)
  with pytest.raises(UserError, match=r"--flow tvl1 needs scikit-image.*\[tvl1\]"):
    make_measure("tvl1", "textbook")
