"""SIGTERM and Ctrl-C: training saves before it obeys them."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental import multihost_utils

from infusenet_jax.runtime.errors import Preempted


class Signals:
  """Whether training is to stop: SIGTERM (a machine's notice) or Ctrl-C came.

  Training then saves and stops before its next step; a second Ctrl-C stops at once.
  Where several processes train together they agree on the step.
  """

  def __init__(self):
    self.received: list[int] = []

  def stop_before(self, step: int) -> bool:
    """Asked by every process before each step of the loop."""
    if jax.process_count() > 1:
      return multihost_utils.reached_preemption_sync_point(step)
    return bool(self.received)

  def stop(self, folder: Path) -> None:
    """Raises what the signal stands for, once all is saved."""
    if signal.SIGINT in self.received:
      raise KeyboardInterrupt
    raise Preempted(f"saved in {folder}; run the same command again to go on")


@contextlib.contextmanager
def obey_sigterm() -> Iterator[None]:
  """SIGTERM ends what is not training at once, and as launchers expect it.

  Raises:
    Preempted: it came.
  """
  if jax.process_count() > 1:  # JAX notes SIGTERM; training asks for it.
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
  """Notes SIGTERM and the first Ctrl-C instead of obeying them at once."""
  signals = Signals()
  if jax.process_count() > 1:  # JAX notes SIGTERM and spreads the word.
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
