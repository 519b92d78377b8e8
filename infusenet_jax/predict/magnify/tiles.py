"""Magnifies frames of any size in tiles, whose seams cannot be seen.

What the networks make of a pixel depends on pixels at most `REACH` away. Tiles overlap
by twice as much and are cut in the middle of where they do, so that each pixel comes
from a tile that holds all that has a say in it: the whole is what it would be if it
were made in one piece. All tiles of a frame have one size, for which the networks are
compiled once.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.models.weights import load_magnifier

# Pixels. From the magnified frame back: 4 of the last two convolutions, 1 of doubling,
# 70 of 35 convolutions at half the size (18, 6 and 11), 2 of the strided one, 3.
REACH = 80
LEAST_SIDE = 16
MOST_PIXELS = 1 << 20  # Of a tile.


class Piece(NamedTuple):
  """One tile along one side of a frame."""

  start: int  # Of the tile.
  low: int  # What is taken from it, low <= i < high, in the frame.
  high: int


class Grid(NamedTuple):
  """How frames of one size are cut into tiles of one size."""

  height: int  # Of a tile; even, as the networks halve and double the sides.
  width: int
  rows: tuple[Piece, ...]
  columns: tuple[Piece, ...]


def make_grid(height: int, width: int, most: int = MOST_PIXELS) -> Grid:
  """The tiles of at most `most` pixels that compute the fewest pixels twice.

  Args:
    height, width: of the frames, even.
    most: at least (2 REACH + 2)^2, or else single tiles are larger.
  """
  best = None
  for rows in range(1, 65):
    high = _side(height, rows)
    wanted = next((n for n in range(1, 65) if high * _side(width, n) <= most), None)
    if wanted is None:
      continue
    wide = _side(width, wanted)
    cost = rows * high * wanted * wide
    if best is None or cost < best[0]:
      best = cost, Grid(high, wide, _cut(height, rows), _cut(width, wanted))
  if best is None:
    raise ValueError(f"no tiles of {most} pixels cover {height} x {width}")
  return best[1]


def _side(length: int, count: int) -> int:
  """The even side of `count` tiles that overlap enough to cover `length`."""
  if count == 1:
    return length
  # Two more, since tiles begin at even pixels.
  side = -(-(length + (count - 1) * 2 * REACH) // count) + 2
  return min(length, side + side % 2)


def _cut(length: int, count: int) -> tuple[Piece, ...]:
  side, gaps = _side(length, count), max(count - 1, 1)
  starts = [2 * round((length - side) * n / gaps / 2) for n in range(count)]
  middles = [(a + side + b) // 2 for a, b in itertools.pairwise(starts)]
  edges = [0, *middles, length]
  return tuple(map(Piece, starts, edges, edges[1:]))


class TiledMagnifier:
  """The magnifier that ships, for frames of one size.

  Its latents of a frame can be kept, as the reference of others.
  """

  def __init__(self, height: int, width: int, most: int = MOST_PIXELS):
    """Prepares for frames (height, width, 3), of any sides from LEAST_SIDE on."""
    self._shape = height, width
    self._even = height + height % 2, width + width % 2
    self._grid = make_grid(*self._even, most)
    self._encode, self._decode = _compiled()

  def latents(self, frame: np.ndarray) -> list[jax.Array]:
    """What the networks see in a frame (height, width, 3) uint8 RGB, tile by tile."""
    (height, width), (tall, wide) = self._shape, self._even
    even = np.pad(frame, ((0, tall - height), (0, wide - width), (0, 0)), mode="edge")
    grid, found = self._grid, []
    for row in grid.rows:
      for column in grid.columns:
        tile = even[
          row.start : row.start + grid.height, column.start : column.start + grid.width
        ]
        found.append(self._encode(tile[None]))
    return found

  def magnified(
    self, reference: list[jax.Array], frame: list[jax.Array], amp: float
  ) -> np.ndarray:
    """The frame with its motion since the reference magnified.

    Args:
      reference, frame: latents of both.
      amp: how many times.

    Returns:
      (height, width, 3) uint8 RGB.
    """
    whole, grid = np.empty((*self._even, 3), np.uint8), self._grid
    pairs = iter(zip(reference, frame, strict=True))
    for row in grid.rows:
      for column in grid.columns:
        tile = np.asarray(self._decode(*next(pairs), np.float32(amp)))[0]
        whole[row.low : row.high, column.low : column.high] = tile[
          row.low - row.start : row.high - row.start,
          column.low - column.start : column.high - column.start,
        ]
    return whole[: self._shape[0], : self._shape[1]]


@functools.cache
def _compiled() -> tuple[Callable[..., jax.Array], Callable[..., jax.Array]]:
  """(tile) -> latent, and (latent, latent, amp) -> tile; each compiled once a size."""
  magnifier = Magnifier(rngs=nnx.Rngs(0))
  load_magnifier(magnifier, "pretrained")
  graph, weights = nnx.split(magnifier)

  @jax.jit
  def encode(weights, tile):
    return nnx.merge(graph, weights).encoder(tile.astype(jnp.float32) / 127.5 - 1)

  @jax.jit
  def decode(weights, first, second, amp):
    networks = nnx.merge(graph, weights)
    larger = networks.decoder(second + networks.manipulator(first, second, amp))
    return jnp.clip(jnp.round((larger + 1) * 127.5), 0, 255).astype(jnp.uint8)

  return functools.partial(encode, weights), functools.partial(decode, weights)
