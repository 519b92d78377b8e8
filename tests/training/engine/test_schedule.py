"""Batches of static shape, in an order that a resumed run repeats."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from infusenet_jax.training.engine.schedule import epoch_batches, sequential_batches

QUICK = settings(deadline=None, max_examples=40)


@QUICK
@given(st.integers(1, 70), st.integers(1, 20), st.integers(0, 5))
def test_an_epoch_trains_on_every_clip_once_in_batches_of_one_size(count, size, seed):
  clips = np.arange(100, 100 + count)
  batches = list(epoch_batches(clips, size, [seed, 1]))
  assert len(batches) == -(-count // size)
  assert all(len(numbers) == len(weights) == size for numbers, weights in batches)
  counted = np.concatenate([numbers[weights > 0] for numbers, weights in batches])
  assert sorted(counted) == clips.tolist()
  assert set(np.concatenate([numbers for numbers, _ in batches])) <= set(clips)


def test_the_order_of_an_epoch_depends_on_its_seed_alone():
  orders = [
    np.concatenate([numbers for numbers, _ in epoch_batches(np.arange(50), 8, seed)])
    for seed in ([45, 0], [45, 0], [45, 1])
  ]
  assert np.array_equal(orders[0], orders[1])
  assert not np.array_equal(orders[0], orders[2])


@QUICK
@given(st.integers(1, 70), st.integers(1, 20))
def test_evaluation_batches_cover_the_clips_in_order(count, size):
  batches = list(sequential_batches(np.arange(count), size))
  assert all(len(numbers) == size for numbers, _ in batches)
  covered = np.concatenate([numbers[:counted] for numbers, counted in batches])
  assert np.array_equal(covered, np.arange(count))
