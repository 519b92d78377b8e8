"""Start of a process or several, the mesh, and what is sharded over it."""

import os
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from infusenet_jax.errors import UserError


def start_processes() -> None:
  """Joins this process to the others of a pod or cluster.

  Coordinator, process count and id come from the environment of TPU pods, SLURM,
  MPI and Kubernetes, as `jax.distributed.initialize` finds them.
  """
  try:
    jax.distributed.initialize()
  except (ValueError, RuntimeError) as error:
    raise UserError(
      f"--distributed: no cluster could be joined ({_first_line(error)}); start it "
      "with SLURM, MPI, Kubernetes or on a TPU pod, or leave the flag out"
    ) from error


def keep_compiled() -> None:
  """Keeps compiled programs between runs, so that resuming compiles nothing anew."""
  if not jax.config.jax_compilation_cache_dir:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jax.config.update(
      "jax_compilation_cache_dir", str(caches / "infusenet_jax" / "xla")
    )


def several_processes() -> bool:
  """Whether other processes, on this machine or others, take part in the run."""
  return jax.process_count() > 1


def wait_for_others(place: str) -> None:
  """Returns when every process has come to `place`, a name used once."""
  if several_processes():
    multihost_utils.sync_global_devices(place)


def is_main_process() -> bool:
  """True in the one process that writes tables and reports."""
  return jax.process_index() == 0


def data_mesh(batch_size: int) -> Mesh:
  """A mesh `('data',)` over all devices of all processes.

  Raises:
    UserError: where `batch_size` cannot be split evenly over the devices.
  """
  devices = jax.device_count()
  if batch_size % devices:
    nearest = max(devices, round(batch_size / devices) * devices)
    raise UserError(
      f"config.train.batch_size is {batch_size}, which {devices} devices cannot share "
      f"evenly; the nearest that they can is {nearest}"
    )
  # Auto axes: batch indexing inside the compiled step needs no sharding rules.
  return jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
  """The sharding of what every device holds whole: state and resident clips."""
  return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh) -> NamedSharding:
  """The sharding that splits the leading (batch) axis over the devices."""
  return NamedSharding(mesh, PartitionSpec("data"))


def fits_device(num_bytes: int, share: float = 0.5) -> bool:
  """Whether `num_bytes` take at most `share` of the memory that a device has left.

  A CPU reports no limit: there the arrays lie in host memory anyway.
  """
  stats = jax.local_devices()[0].memory_stats() or {}
  limit = stats.get("bytes_limit")
  return limit is None or num_bytes <= share * (limit - stats.get("bytes_in_use", 0))


def to_host(array: jax.Array) -> np.ndarray:
  """The whole of `array` as NumPy, also where other processes hold parts of it."""
  if array.is_fully_addressable:
    return np.asarray(array)
  return multihost_utils.process_allgather(array, tiled=True)


def _first_line(error: Exception) -> str:
  return (
    str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
  )
