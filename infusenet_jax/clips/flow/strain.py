"""The optical strain of a flow field: the textbook's, and what the benchmark computes.

Strain is sqrt(ux^2 + vy^2 + (uy^2 + vx^2) / 2) with Sobel's derivatives, divided by 8
so that they are in pixels per pixel. The code of the CD6ME benchmark (Varanka et al.,
TAFFC 2023) differs from that formula in two ways. What it calls the derivative along x
is the one down the image, so that stretch is weighted as shear and shear as stretch.
And it takes the flow outside of the image to be 0, so that the strain has a border of
large values.
"""

import jax
import jax.numpy as jnp


@jax.jit
def optical_strain(flow: jax.Array) -> jax.Array:
  """Computes the strain of the textbook's formula; edge pixels are repeated.

  Args:
    flow: (..., H, W, 2) flow in pixels.

  Returns:
    (..., H, W) strain, pixels per pixel.
  """
  ux, uy, vx, vy = _derivatives(flow, "edge")
  return jnp.sqrt(ux**2 + vy**2 + (uy**2 + vx**2) / 2)


@jax.jit
def benchmark_strain(flow: jax.Array) -> jax.Array:
  """Computes the strain as the CD6ME benchmark does, at 1/8 of its scale.

  The benchmark does not divide the derivatives by 8; the scale is lost anyway when
  strain is scaled to [0, 1] per clip.

  Args:
    flow: (..., H, W, 2) flow in pixels.

  Returns:
    (..., H, W) strain, pixels per pixel.
  """
  ux, uy, vx, vy = _derivatives(flow, "constant")
  return jnp.sqrt(uy**2 + vx**2 + (ux**2 + vy**2) / 2)


STRAINS = {"textbook": optical_strain, "benchmark": benchmark_strain}


def _derivatives(flow: jax.Array, border: str) -> tuple[jax.Array, ...]:
  """Computes du/dx, du/dy, dv/dx and dv/dy of flow (..., H, W, 2)."""
  field = jnp.moveaxis(jnp.asarray(flow), -1, 0)
  field = jnp.pad(field, [(0, 0)] * (field.ndim - 2) + [(1, 1)] * 2, mode=border)
  tall = field[..., :-2, :] + 2 * field[..., 1:-1, :] + field[..., 2:, :]
  wide = field[..., :-2] + 2 * field[..., 1:-1] + field[..., 2:]
  ux, vx = (tall[..., 2:] - tall[..., :-2]) / 8
  uy, vy = (wide[..., 2:, :] - wide[..., :-2, :]) / 8
  return ux, uy, vx, vy
