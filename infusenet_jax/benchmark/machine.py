"""Describes what a benchmark ran on: device, threads, versions, memory."""

import contextlib
import importlib.metadata
import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any

import jax

from infusenet_jax.runtime.workdir import versions


def machine() -> dict[str, Any]:
  """Collects the device's name and count, threads, present load and versions."""
  device = jax.devices()[0]
  found = {
    "device": _cpu_name() if device.platform == "cpu" else device.device_kind,
    "platform": device.platform,
    "count": jax.device_count(),
    "threads": threads(),
    "load": os.getloadavg()[0],
    "versions": versions(),
  }
  with contextlib.suppress(importlib.metadata.PackageNotFoundError):
    found["versions"]["torch"] = importlib.metadata.version("torch")
  return found


def threads() -> int:
  """Counts JAX's threads on a CPU: as many as the cores that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def peak_memory() -> dict[str, int]:
  """Returns the most bytes that this process and, if known, the first device held."""
  unit = 1 if sys.platform == "darwin" else 1024
  found = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
  stats = jax.local_devices()[0].memory_stats() or {}
  if "peak_bytes_in_use" in stats:
    found["device"] = stats["peak_bytes_in_use"]
  return found


def free_memory() -> int | None:
  """Returns the free bytes of the device (CPU: of the machine), or None if unknown."""
  stats = jax.local_devices()[0].memory_stats() or {}
  if "bytes_limit" in stats:
    return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
  for line in _lines("/proc/meminfo"):
    if line.startswith("MemAvailable"):
      return int(line.split()[1]) * 1024
  return None


def _cpu_name() -> str:
  for line in _lines("/proc/cpuinfo"):
    if line.startswith("model name"):
      return line.split(":")[1].strip()
  return platform.processor() or platform.machine()


def _lines(path: str) -> list[str]:
  try:
    return Path(path).read_text().splitlines()
  except OSError:
    return []
