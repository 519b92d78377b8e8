"""The optical strain of a flow field: the textbook's, and what the benchmark computes.

sqrt(ux^2 + vy^2 + (uy^2 + vx^2) / 2), by Sobel's derivatives divided by 8, so that they
are pixels per pixel. The code of the CD6ME benchmark (Varanka et al., TAFFC 2023)
differs from that formula in two ways: what it calls the derivative along x runs along
the rows, so that stretch is weighted as shear and shear as stretch, and outside of the
image it takes the flow to be 0, so that a frame of large values surrounds the rest.
"""

import jax
import jax.numpy as jnp


@jax.jit
def optical_strain(flow: jax.Array) -> jax.Array:
  """The textbook's strain; edge pixels are repeated.

  Args:
    flow: (..., H, W, 2) flow in pixels.

  Returns:
    (..., H, W) strain, pixels per pixel.
  """
  ux, uy, vx, vy = _derivatives(flow, "edge")
  return jnp.sqrt(ux**2 + vy**2 + (uy**2 + vx**2) / 2)


@jax.jit
def benchmark_strain(flow: jax.Array) -> jax.Array:
  """The CD6ME benchmark's strain, but for its scale: it leaves out the division by 8.

  Args:
    flow: (..., H, W, 2) flow in pixels.

  Returns:
    (..., H, W) strain, pixels per pixel.
  """
  ux, uy, vx, vy = _derivatives(flow, "constant")
  return jnp.sqrt(uy**2 + vx**2 + (ux**2 + vy**2) / 2)


STRAINS = {"textbook": optical_strain, "benchmark": benchmark_strain}


def _derivatives(flow: jax.Array, border: str) -> tuple[jax.Array, ...]:
  """du/dx, du/dy, dv/dx and dv/dy of (..., H, W, 2)."""
  field = jnp.moveaxis(jnp.asarray(flow), -1, 0)
  field = jnp.pad(field, [(0, 0)] * (field.ndim - 2) + [(1, 1)] * 2, mode=border)
  tall = field[..., :-2, :] + 2 * field[..., 1:-1, :] + field[..., 2:, :]
  wide = field[..., :-2] + 2 * field[..., 1:-1] + field[..., 2:]
  ux, vx = (tall[..., 2:] - tall[..., :-2]) / 8
  uy, vy = (wide[..., 2:, :] - wide[..., :-2, :]) / 8
  return ux, uy, vx, vy
