"""Batches of static shape, and the scaling of flow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusenet_jax.clips.records import (
  count_clips,
  load_clips,
  min_max,
  prepared_databases,
)
from infusenet_jax.runtime.errors import Preempted, UserError
from infusenet_jax.training.engine.inputs import epoch_batches, sequential_batches

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


@QUICK
@given(st.integers(0, 1000))
def test_flow_is_scaled_to_zero_and_one_per_channel(seed):
  rng = np.random.default_rng(seed)
  flow = rng.normal(rng.normal(size=3) * 5, rng.random(3) + 0.1, (6, 7, 3))
  flow[..., 2] = 1.5  # no contrast
  scaled = min_max(flow)
  assert scaled.min() == 0 and scaled.max() == 1
  assert np.array_equal(scaled.max((0, 1)), [1, 1, 0])
  restored = scaled * np.ptp(flow, (0, 1)) + flow.min((0, 1))
  assert np.allclose(restored, flow, atol=1e-5)


def test_sigterm_while_records_are_read_is_not_taken_for_damage(tmp_path, monkeypatch):
  folder = tmp_path / "samm" / "1.0.0"
  folder.mkdir(parents=True)
  (folder / "dataset_info.json").write_text("{}")

  def told(_):
    raise Preempted("saved")

  monkeypatch.setattr("tensorflow_datasets.builder_from_directory", told)
  with pytest.raises(Preempted, match="saved"):
    load_clips(tmp_path, 32)


def test_the_six_come_first_and_half_made_records_are_none(tmp_path):
  for name in ("zoo", "samm", "lab", "casme", ".building-mmew", "No Name", "casmeii"):
    info = tmp_path / name / "1.0.0/dataset_info.json"
    info.parent.mkdir(parents=True)
    info.write_text("{}")
  assert list(prepared_databases(tmp_path)) == ["casme", "samm", "lab", "zoo"]


@pytest.mark.parametrize("make", [lambda p: p / "absent", lambda p: p])
def test_a_missing_or_empty_data_dir_says_what_to_do(tmp_path, make):
  with pytest.raises(UserError, match=r"config\.data_dir=.*no prepared records.*build"):
    load_clips(make(tmp_path), 32)
  assert count_clips(make(tmp_path)) == {}
