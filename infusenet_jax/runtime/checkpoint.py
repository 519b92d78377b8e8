"""Checkpoints by Orbax: saved while training goes on, checked when restored."""

import contextlib
import logging
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from infusenet_jax.runtime.devices import all_agree, is_main, wait_for_all
from infusenet_jax.runtime.errors import UserError

# Any pytree with a field `step`, the number of updates made; a NamedTuple where fields
# of it are left out of a checkpoint.
State = TypeVar("State")

_log = logging.getLogger(__name__)


class Checkpoints:
  """The checkpoints of one fold and seed, the newest `keep` of them.

  Saving is asynchronous and atomic: if the process is killed while it saves, the
  previous checkpoint, if any, stays intact. Each checkpoint holds a checksum of its
  state. Orbax's files have none, so that without it a bit that has changed on disk
  would be restored unnoticed.

  Args:
    folder: where the checkpoints are kept; nothing else may be kept there.
    keep: how many checkpoints are kept.
    whose: what the state belongs to, such as a fold and a seed; kept in every
      checkpoint and compared when it is restored.
    advice: what the user can do if no checkpoint can be read; the end of the message.
  """

  def __init__(
    self,
    folder: str | Path,
    keep: int = 2,
    whose: Mapping[str, str | int] | None = None,
    advice: str = "move the folder away to start afresh",
  ):
    self._whose, self._advice = dict(whose or {}), advice
    options = ocp.CheckpointManagerOptions(
      max_to_keep=keep, create=True, cleanup_tmp_directories=True
    )
    with _one_line(folder):
      self._manager = ocp.CheckpointManager(Path(folder).absolute(), options=options)

  def restore(self, like: State) -> State | None:
    """Restores the newest checkpoint that can be read; returns None if there is none.

    Damaged checkpoints are renamed to damaged-STEP, once an older one has been read.
    Fields that were left out when it was saved are taken from `like`.

    Args:
      like: a state with the shapes, types and device placement of the one wanted.

    Raises:
      UserError: there are checkpoints, but none can be read, or they belong to
        something other than `whose`.
    """
    damaged = {}
    for step in sorted(self._manager.all_steps(), reverse=True):
      try:
        about = self._read(step, about=ocp.args.JsonRestore()).about
        part = _without(like, about.get("without", ()))
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, part)
        part = self._read(step, state=ocp.args.StandardRestore(target)).state
        sound = about["checksum"] == checksum(part)
        reason = "its checksum is another"
      except Exception as error:  # A damaged file can make the reader raise anything.
        sound, reason = False, (str(error).splitlines() or [type(error).__name__])[0]
      if not all_agree(sound):
        damaged[step] = "another process cannot read it" if sound else reason
        continue
      if about["whose"] != self._whose:
        raise UserError(
          f"{self._manager.directory}: holds checkpoints of {about['whose']}, expected "
          f"those of {self._whose}; put the folder back where it was"
        )
      self._set_aside(damaged)
      return like._replace(**part) if about.get("without") else part
    if damaged:
      raise UserError(
        f"{self._manager.directory}: none of the {len(damaged)} checkpoints can be "
        f"read ({next(iter(damaged.values()))}); {self._advice}"
      )
    return None

  def _read(self, step: int, **items: ocp.args.CheckpointArgs) -> ocp.args.Composite:
    return self._manager.restore(step, args=ocp.args.Composite(**items))

  def _set_aside(self, damaged: dict[int, str]) -> None:
    wait_for_all("no one reads what is damaged any more")
    for step, reason in damaged.items() if is_main() else ():
      folder = Path(self._manager.directory) / str(step)
      aside = folder.with_name(f"damaged-{step}")
      _log.warning(
        "%s is damaged (%s): kept as %s, going on from the checkpoint before",
        folder,
        reason,
        aside.name,
      )
      shutil.rmtree(aside, ignore_errors=True)
      folder.rename(aside)
    wait_for_all("what is damaged is set aside")
    self._manager.reload()

  def save(self, state: State, without: Sequence[str] = ()) -> None:
    """Writes `state` under its step number, unless that is saved already.

    Args:
      state: to be restored.
      without: names of its fields that are not needed any more.

    Raises:
      UserError: the disk has no room for this checkpoint, or for the previous one, if
        that was still being written.
    """
    step = int(state.step)
    if step not in self._manager.all_steps():
      part = _without(state, without)
      about = {"whose": self._whose, "checksum": checksum(part)}
      about["without"] = list(without)
      items = ocp.args.Composite(
        state=ocp.args.StandardSave(part), about=ocp.args.JsonSave(about)
      )
      with _one_line(self._manager.directory):
        self._manager.save(step, args=items)

  def keep_newest(self) -> None:
    """Deletes all checkpoints but the newest; called when training is over."""
    with _one_line(self._manager.directory):
      self._manager.wait_until_finished()
      for step in sorted(self._manager.all_steps())[:-1]:
        self._manager.delete(step)

  def close(self) -> None:
    """Waits until every checkpoint is on disk.

    Raises:
      UserError: the disk has no room for the last one.
    """
    with _one_line(self._manager.directory):
      try:
        self._manager.wait_until_finished()
      finally:
        self._manager.close()


def checksum(state: State) -> int:
  """Computes the CRC-32 of the bytes of all leaves, in the order of the tree."""
  total = 0
  for leaf in jax.tree.leaves(state):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
      leaf = jax.random.key_data(leaf)
    total = zlib.crc32(np.ascontiguousarray(leaf).view(np.uint8).data, total)
  return total


def _without(state: State, names: Sequence[str]) -> State | dict[str, object]:
  """The state, or its other fields by name."""
  if not names:
    return state
  return {name: x for name, x in state._asdict().items() if name not in names}


@contextlib.contextmanager
def _one_line(folder: str | Path) -> Iterator[None]:
  """Turns errors of a full or read-only disk, from any library, into a `UserError`."""
  try:
    yield
  except (OSError, ValueError) as error:
    # TensorStore raises a ValueError that ends in [os_error_code='28'].
    told = re.search(r"os_error_code='(\d+)'", str(error))
    number = int(told[1]) if told else getattr(error, "errno", None)
    if number is None:
      raise
    before = "no other is there yet: make room, then run the same command again"
    if any(path.name.isdecimal() for path in Path(folder).glob("*")):
      before = (
        "the one before it is intact: make room, then run the same command again to go "
        "on from it"
      )
    raise UserError(
      f"{folder}: a checkpoint cannot be written ({os.strerror(number)}); {before}"
    ) from error
