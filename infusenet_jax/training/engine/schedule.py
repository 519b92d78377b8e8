"""Chooses the clips of every batch; the choice depends on fold, seed and step alone."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.evaluate.protocol import Fold


class Schedule:
  """The batches of one fold trained with one seed.

  The order of an epoch is drawn from seed, fold and epoch and from nothing else, so
  that a resumed run repeats it without any iterator's state.

  Attributes:
    epoch_steps: updates in one pass over the fold's training clips.
    steps: updates in all epochs.
    checkpoint_steps: updates from one checkpoint to the next.
  """

  def __init__(self, config: ConfigDict, fold: Fold, seed: int):
    train = config.train
    self._fold, self._seed, self._batch_size = fold, seed, train.batch_size
    self.epoch_steps = -(-int(fold.train.sum()) // train.batch_size)
    self.steps = self.epoch_steps * train.epochs
    self.checkpoint_steps = self.epoch_steps * train.checkpoint_epochs
    self._epoch = functools.lru_cache(2)(self._draw_epoch)

  def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the clip numbers (B,) and weights (B,) of a step."""
    return self._epoch(step // self.epoch_steps)[step % self.epoch_steps]

  def _draw_epoch(self, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    order = [self._seed, *self._fold.name.encode(), epoch]
    numbers = np.flatnonzero(self._fold.train)
    return list(epoch_batches(numbers, self._batch_size, order))


def epoch_batches(
  clips: np.ndarray, batch_size: int, seed: Sequence[int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Splits the clip numbers `clips` (N,) into batches, in an order drawn from `seed`.

  The last batch is filled up with other clips of the epoch at weight 0: they add
  nothing to the loss, and batch statistics are always over `batch_size` real clips.

  Yields:
    (numbers (batch_size,), weights (batch_size,)).
  """
  order = np.random.default_rng(seed).permutation(clips)
  for start in range(0, len(order), batch_size):
    numbers = order[start : start + batch_size]
    weights = np.zeros(batch_size, np.float32)
    weights[: len(numbers)] = 1
    yield np.resize(np.concatenate([numbers, order]), batch_size), weights


def sequential_batches(
  clips: np.ndarray, batch_size: int
) -> Iterator[tuple[np.ndarray, int]]:
  """Splits clip numbers into batches, in their order, for evaluation.

  The last batch is filled up by repeating its last clip, which does not change a
  minimum or maximum over the batch, as the published gate takes them.

  Yields:
    (numbers (batch_size,), how many of them are not such a repetition).
  """
  for start in range(0, len(clips), batch_size):
    numbers = clips[start : start + batch_size]
    yield np.pad(numbers, (0, batch_size - len(numbers)), mode="edge"), len(numbers)
