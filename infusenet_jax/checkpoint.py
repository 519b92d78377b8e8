"""A thin Orbax layer: save while training goes on, restore the newest that is sound."""

import logging
import shutil
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from infusenet_jax.engine import TrainState

_log = logging.getLogger(__name__)


class Checkpoints:
  """The checkpoints of one fold and seed, the newest `keep` of them.

  Saving is asynchronous and atomic: a killed process leaves the one before intact.
  """

  def __init__(self, folder: str | Path, keep: int = 2):
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
    self._manager = ocp.CheckpointManager(Path(folder).absolute(), options=options)

  def restore(self, like: TrainState) -> TrainState | None:
    """The newest checkpoint that can be read, placed as `like` is; None without one."""
    target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    for step in sorted(self._manager.all_steps(), reverse=True):
      try:
        return self._manager.restore(step, args=ocp.args.StandardRestore(target))
      except Exception as error:
        self._set_aside(step, error)
    return None

  def _set_aside(self, step: int, error: Exception) -> None:
    folder = Path(self._manager.directory) / str(step)
    aside = folder.with_name(f"damaged-{step}")
    _log.warning(
      "%s is damaged (%s): kept as %s, going on from the checkpoint before",
      folder,
      (str(error).splitlines() or [type(error).__name__])[0],
      aside.name,
    )
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    self._manager.reload()

  def save(self, state: TrainState) -> None:
    """Writes `state` under its step number, unless that is saved already."""
    step = int(state.step)
    if step not in self._manager.all_steps():
      self._manager.save(step, args=ocp.args.StandardSave(state))

  def close(self) -> None:
    """Waits until everything is on disk."""
    self._manager.wait_until_finished()
    self._manager.close()
