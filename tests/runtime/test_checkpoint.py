"""Checkpoints: damage of every kind is noticed, and another's are refused."""

import errno
import shutil
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusenet_jax.runtime.checkpoint import Checkpoints, checksum
from infusenet_jax.runtime.errors import UserError


class State(NamedTuple):
  weights: jax.Array
  key: jax.Array
  step: jax.Array


def state(step: int) -> State:
  key = jax.random.key(step)
  return State(jax.random.normal(key, (200, 200)), key, jnp.int32(step))


def save(folder, *steps: int, **whose) -> None:
  checkpoints = Checkpoints(folder, whose=whose)
  for step in steps:
    checkpoints.save(state(step))
  checkpoints.close()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  folder = tmp_path_factory.mktemp("saved") / "checkpoints"
  save(folder, 1, 2, fold="samm", seed=45)
  return folder


def largest(folder):
  return max(
    (path for path in folder.rglob("*") if path.is_file()),
    key=lambda path: path.stat().st_size,
  )


def flip(path, place: float, bit: int) -> None:
  data = bytearray(path.read_bytes())
  data[int(place * (len(data) - 1))] ^= 1 << bit
  path.write_bytes(data)


DAMAGES = {
  "emptied": lambda path: path.write_bytes(b""),
  "cut in half": lambda path: path.write_bytes(path.read_bytes()[:70_000]),
  "a flipped bit": lambda path: flip(path, 0.5, 0),
  "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_is_set_aside_for_the_one_before(
  saved, tmp_path, damage, caplog
):
  folder = tmp_path / "checkpoints"
  shutil.copytree(saved, folder)
  DAMAGES[damage](largest(folder / "2"))
  checkpoints = Checkpoints(folder, whose={"fold": "samm", "seed": 45})
  found = checkpoints.restore(state(0))
  checkpoints.close()
  np.testing.assert_array_equal(found.weights, state(1).weights)
  assert (folder / "damaged-2").is_dir()
  assert "is damaged" in caplog.text


def test_the_newest_comes_back_bit_for_bit(saved):
  checkpoints = Checkpoints(saved, whose={"fold": "samm", "seed": 45})
  found = checkpoints.restore(state(0))
  checkpoints.close()
  assert checksum(found) == checksum(state(2))
  np.testing.assert_array_equal(found.weights, state(2).weights)


def test_fields_that_were_left_out_are_those_of_the_state_given(tmp_path):
  checkpoints = Checkpoints(tmp_path)
  checkpoints.save(state(1))
  checkpoints.save(state(2), without=("weights",))
  checkpoints.close()
  sizes = [
    sum(path.stat().st_size for path in (tmp_path / step).rglob("*") if path.is_file())
    for step in ("1", "2")
  ]
  assert sizes[1] < sizes[0] - 100_000
  checkpoints = Checkpoints(tmp_path)
  found = checkpoints.restore(state(0))
  checkpoints.close()
  assert isinstance(found, State) and int(found.step) == 2
  np.testing.assert_array_equal(found.weights, state(0).weights)
  assert checksum(found._replace(weights=state(2).weights)) == checksum(state(2))


def test_a_damaged_only_checkpoint_says_what_to_do(saved, tmp_path):
  folder = tmp_path / "checkpoints"
  shutil.copytree(saved, folder)
  shutil.rmtree(folder / "1")
  flip(largest(folder / "2"), 0.5, 0)
  whose = {"fold": "samm", "seed": 45}
  checkpoints = Checkpoints(folder, whose=whose, advice="train it again")
  with pytest.raises(UserError, match=r"none of the 1 checkpoints .*; train it again$"):
    checkpoints.restore(state(0))
  checkpoints.close()


def test_those_of_another_fold_are_refused(saved):
  checkpoints = Checkpoints(saved, whose={"fold": "casme", "seed": 45})
  with pytest.raises(UserError, match=r"holds checkpoints of .*samm.*expected.*casme"):
    checkpoints.restore(state(0))
  checkpoints.close()


@settings(deadline=None)
@given(st.integers(0, 39_999), st.integers(0, 31))
def test_every_bit_counts_in_the_checksum(place, bit):
  bits = np.array(state(1).weights).view(np.uint32).ravel()
  bits[place] ^= np.uint32(1) << np.uint32(bit)
  other = state(1)._replace(weights=bits.view(np.float32).reshape(200, 200))
  assert checksum(other) != checksum(state(1))


def test_nobody_is_told_of_a_checkpoint_before_the_first(tmp_path, monkeypatch):
  def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")

  checkpoints = Checkpoints(tmp_path)
  with monkeypatch.context() as patch:
    patch.setattr(checkpoints._manager, "save", full)
    with pytest.raises(UserError, match=r"no other is there yet: make room"):
      checkpoints.save(state(1))
  checkpoints.save(state(1))
  checkpoints._manager.wait_until_finished()
  monkeypatch.setattr(checkpoints._manager, "save", full)
  with pytest.raises(UserError, match=r"the one before it is intact: make room"):
    checkpoints.save(state(2))
  checkpoints.close()
