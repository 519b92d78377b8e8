"""Strain is exact on linear fields; the benchmark's is what SciPy's Sobel gives."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from infusenet_jax.clips.flow.strain import benchmark_strain, optical_strain

SLOPES = st.floats(-0.5, 0.5)


@settings(deadline=None, max_examples=20)
@given(SLOPES, SLOPES, SLOPES, SLOPES)
def test_strain_of_a_linear_field_is_exact(ux, uy, vx, vy):
  y, x = np.mgrid[:9, :11].astype(np.float32)
  field = np.stack([ux * x + uy * y + 3, vx * x + vy * y - 2], -1).astype(np.float32)
  strain = np.asarray(optical_strain(field[None]))[0]
  assert strain.shape == (9, 11)
  expected = np.sqrt(ux**2 + vy**2 + (uy**2 + vx**2) / 2)
  np.testing.assert_allclose(strain[1:-1, 1:-1], expected, atol=1e-5)


def test_strain_is_opencvs_sobel():
  field = np.random.default_rng(0).normal(size=(31, 27, 2)).astype(np.float32)
  (ux, uy), (vx, vy) = (
    [
      cv2.Sobel(part, -1, *order, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
      for order in ((1, 0), (0, 1))
    ]
    for part in (field[..., 0].copy(), field[..., 1].copy())
  )
  expected = np.sqrt(ux**2 + vy**2 + (uy**2 + vx**2) / 2)
  np.testing.assert_allclose(optical_strain(field), expected, atol=1e-5)


def test_the_benchmarks_strain_swaps_the_axes_and_pads_with_zeros():
  field = np.random.default_rng(0).normal(size=(31, 27, 2))
  u, v = np.moveaxis(field, -1, 0)
  # Axis 0 are the rows.
  (ux, uy), (vx, vy) = (
    [ndimage.sobel(part, axis=axis, mode="constant") for axis in (0, 1)]
    for part in (u, v)
  )
  expected = np.sqrt(ux**2 + vy**2 + 0.5 * (uy**2 + vx**2))
  np.testing.assert_allclose(8 * benchmark_strain(field), expected, atol=1e-4)


def test_a_shift_strains_the_benchmarks_border_alone():
  field = np.ones((20, 20, 2))
  np.testing.assert_allclose(optical_strain(field), 0, atol=1e-7)
  found = np.asarray(benchmark_strain(field))
  np.testing.assert_allclose(found[1:-1, 1:-1], 0, atol=1e-7)
  assert found[0].min() > 0.3
