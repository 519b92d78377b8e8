"""What a trace says of the device: how many kernels, and how long it waited."""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax


@dataclass(frozen=True)
class Kernels:
  """What ran on one device during so many steps.

  Attributes:
    count: kernels a step.
    seconds: from the first kernel's start to the last one's end, a step.
    idle: share of that time in which no kernel ran: the host's gaps.
  """

  count: float
  seconds: float
  idle: float


def trace_kernels(step: Callable[[], Any], steps: int) -> Kernels | None:
  """Runs `step` so many times under the profiler, without waiting in between.

  None where the profiler shows no kernels, as on a CPU.
  """
  jax.block_until_ready(step())
  with tempfile.TemporaryDirectory() as folder:
    with jax.profiler.trace(folder):
      for _ in range(steps):
        last = step()
      jax.block_until_ready(last)
    spans = [
      (event.start_ns, event.end_ns)
      for path in Path(folder).rglob("*.xplane.pb")
      for event in _device_events(jax.profiler.ProfileData.from_file(str(path)))
    ]
  return summarize(spans, steps)


def summarize(spans: Iterable[tuple[float, float]], steps: int) -> Kernels | None:
  """Kernels by their (start, end) in nanoseconds, in any order, some at once."""
  spans = sorted(spans)
  if not spans:
    return None
  busy, until = 0.0, spans[0][0]
  for start, end in spans:
    busy += max(0.0, end - max(start, until))
    until = max(until, end)
  whole = until - spans[0][0]
  return Kernels(len(spans) / steps, whole / steps / 1e9, 1 - busy / whole)


def _device_events(profile: Any) -> Iterable[Any]:
  """Kernels of the first device: streams of a GPU, the line of operations of a TPU."""
  planes = [plane for plane in profile.planes if plane.name.startswith("/device:")]
  for plane in sorted(planes, key=lambda plane: plane.name)[:1]:
    for line in plane.lines:
      if line.name.startswith("Stream") or line.name == "XLA Ops":
        yield from line.events
