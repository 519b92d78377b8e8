"""Tiles: they cover a frame, and nobody sees where they were cut."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.models.weights import load_magnifier
from infusenet_jax.predict.magnify import tiles
from infusenet_jax.predict.magnify.tiles import REACH, TiledMagnifier, make_grid


@pytest.mark.slow
def test_nothing_farther_away_than_reach_has_a_say():
  """A pixel that is no number makes of all that it has a say in no numbers."""
  magnifier = Magnifier(rngs=nnx.Rngs(0))
  load_magnifier(magnifier, "pretrained")
  width, reached = 2 * REACH + 40, 0
  for place in (width // 2, width // 2 + 1):
    frame = jnp.zeros((1, 16, width, 3))
    spoiled = frame.at[:, :, place].set(jnp.nan)
    touched = np.isnan(magnifier(frame, spoiled)).any((0, 1, 3)).nonzero()[0]
    reached = max(reached, place - touched[0], touched[-1] - place)
  assert REACH - 2 <= reached <= REACH


SIDES = (32, 162, 480, 720, 1080, 1920, 2160, 4320, 7680)


@pytest.mark.parametrize("height", SIDES)
def test_tiles_cover_every_frame_and_overlap_enough(height):
  for width in (*SIDES, 854, 322):
    grid = make_grid(height, width)
    assert grid.height * grid.width <= tiles.MOST_PIXELS
    whole = [(height, grid.height, grid.rows), (width, grid.width, grid.columns)]
    for length, side, pieces in whole:
      assert side % 2 == 0 and side <= length
      edge = 0
      for piece in pieces:
        assert piece.low == edge and piece.start % 2 == 0
        assert 0 <= piece.start <= length - side
        assert piece.low - piece.start >= (REACH if piece.start else 0)
        beyond = length - (piece.start + side)
        assert piece.start + side - piece.high >= (REACH if beyond else 0)
        edge = piece.high
      assert edge == length


def test_hd_is_cut_into_few_tiles():
  grid = make_grid(1080, 1920)
  pixels = len(grid.rows) * len(grid.columns) * grid.height * grid.width
  assert pixels < 1.25 * 1080 * 1920


def test_no_seams():
  """Odd sides; several tiles make what one makes."""
  rng = np.random.default_rng(0)
  first = rng.integers(0, 256, (241, 353, 3), np.uint8)
  second = np.roll(first, 1, axis=1)

  def larger(most):
    magnifier = TiledMagnifier(*first.shape[:2], most)
    made = magnifier.magnified(*map(magnifier.latents, (first, second)), 10.0)
    return made, len(magnifier._grid.rows) * len(magnifier._grid.columns)

  (whole, one), (tiled, several) = larger(tiles.MOST_PIXELS), larger(230 * 242)
  assert one == 1 < several
  assert whole.shape == tiled.shape == first.shape
  difference = np.abs(whole.astype(int) - tiled)
  # Sums of other lengths are rounded otherwise, rarely across a half.
  assert difference.max() <= 1 and (difference > 0).mean() < 1e-3
