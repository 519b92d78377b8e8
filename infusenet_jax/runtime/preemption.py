"""SIGTERM and Ctrl-C: training saves its state before it stops."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental import multihost_utils

from infusenet_jax.runtime.errors import Preempted


class Signals:
  """Remembers whether SIGTERM or the first Ctrl-C has come, so that training can stop.

  SIGTERM is what a batch system or cloud sends before it takes the machine away.
  Training then saves its state and stops before its next step; a second Ctrl-C stops at
  once. Several processes that train together agree on the step.
  """

  def __init__(self):
    self.received: list[int] = []

  def stop_before(self, step: int) -> bool:
    """Whether to stop before this step; every process must ask before each step."""
    if jax.process_count() > 1:
      return multihost_utils.reached_preemption_sync_point(step)
    return bool(self.received)

  def stop(self, folder: Path) -> None:
    """Raises KeyboardInterrupt after Ctrl-C, else Preempted; call it once all is saved.

    Args:
      folder: where the state was saved, for the message.
    """
    if signal.SIGINT in self.received:
      raise KeyboardInterrupt
    raise Preempted(f"saved in {folder}; run the same command again to go on")


@contextlib.contextmanager
def obey_sigterm() -> Iterator[None]:
  """Lets SIGTERM end the block at once, by `Preempted`; for work outside of training.

  Raises:
    Preempted: SIGTERM came. The command then ends with the status at which launchers
      start it again.
  """
  if jax.process_count() > 1:  # JAX handles SIGTERM; training asks JAX about it.
    yield
    return

  def stop(*_) -> None:
    raise Preempted("nothing was being trained; run the same command again to go on")

  before = signal.signal(signal.SIGTERM, stop)
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def catch_signals() -> Iterator[Signals]:
  """Records SIGTERM and the first Ctrl-C in `Signals` instead of ending the process."""
  signals = Signals()
  if jax.process_count() > 1:  # JAX handles SIGTERM and tells all processes.
    yield signals
    return

  def note(number: int, _) -> None:
    if number == signal.SIGINT and number in signals.received:
      raise KeyboardInterrupt
    signals.received.append(number)

  before = {s: signal.signal(s, note) for s in (signal.SIGTERM, signal.SIGINT)}
  try:
    yield signals
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
