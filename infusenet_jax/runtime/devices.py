"""Processes and devices: start-up, the mesh of folds and data, what lies where."""

import ctypes
import os
import platform
import re
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from infusenet_jax.runtime.errors import UserError

# Seconds without a sign of life after which a process counts as dead.
_HEARTBEAT = 30
# From malloc.h: M_ARENA_MAX, M_MMAP_MAX and M_TRIM_THRESHOLD, in bytes.
_MALLOC = {-8: 1, -4: 0, -1: 2**31 - 1}
# How jaxlib 0.10 says, after a status, that a process at the other end is gone: gloo
# between CPUs (what its own checks find reads "[enforce fail at" instead), NCCL between
# GPUs (of its errors ncclRemoteError alone), and the service that process 0 runs.
_LOST = re.compile(
  "|".join(
    (
      r"[A-Z_]+: Gloo [\w -]+ failed: \[\S*gloo/transport/",
      r"INTERNAL: .*NCCL operation .+ failed: remote process exited",
      r"INTERNAL: Barrier failed because: task is set to ERROR",
      r"UNAVAILABLE: .*(coordination[ _]service|CoordinationService)",
    )
  ),
  re.DOTALL,
)


def keep_freed_memory() -> None:
  """Tells glibc to keep what is freed for what is asked for next; nothing elsewhere.

  On a CPU XLA asks for a step's scratch memory (0.4 GB at 112 px) anew in each call.
  By default glibc takes it from the system and gives it back: 110,000 page faults a
  step, which cost more than what keeping it does. To be called before JAX computes.
  """
  if platform.libc_ver()[0] == "glibc":
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in _MALLOC.items():
      mallopt(option, value)


def keep_compiled() -> None:
  """Keeps compiled programs between runs, so that resuming compiles nothing anew."""
  if not jax.config.jax_compilation_cache_dir:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jax.config.update(
      "jax_compilation_cache_dir", str(caches / "infusenet_jax" / "xla")
    )


def join_processes(
  coordinator: str | None = None,
  processes: int | None = None,
  process: int | None = None,
) -> None:
  """Makes this process one of several that train together, on all their devices.

  Args:
    coordinator: HOST:PORT of process 0; found in the environment of a TPU pod, SLURM
      or GKE if left out, as are the other two.
    processes: how many there are.
    process: which one this is, from 0.

  Raises:
    UserError: the environment does not say, or the others do not answer.
  """
  # One program after the other: gloo's collectives must meet in the same order.
  jax.config.update("jax_cpu_enable_async_dispatch", False)
  try:
    jax.distributed.initialize(
      coordinator, processes, process, heartbeat_timeout_seconds=_HEARTBEAT
    )
  except (RuntimeError, ValueError) as error:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise UserError(
      f"--distributed: the processes did not find each other ({reason}); on a machine "
      "that is no TPU pod, SLURM or GKE job give every process --coordinator=HOST:PORT "
      "--processes=N --process=I"
    ) from error


def lost_process(error: BaseException) -> str | None:
  """One line, where `error` is what is left of talking to a process that has ended."""
  # Gloo's errors come as ValueError, all others as JAX's own.
  if not isinstance(error, jax.errors.JaxRuntimeError | ValueError):
    return None
  if not _LOST.match(str(error)):
    return None
  return (
    "another process of this run has ended, and its log says why "
    f"({str(error).splitlines()[0]}); the same command on all machines goes on from "
    "the newest checkpoint"
  )


def is_main() -> bool:
  """Whether this process is the one that writes and prints."""
  return jax.process_index() == 0


def wait_for_all(reason: str) -> None:
  """Returns when every process has come here."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(reason)


def all_agree(so: bool) -> bool:
  """Whether every process says so; all of them must ask."""
  if jax.process_count() == 1:
    return so
  return bool(np.all(multihost_utils.process_allgather(np.array(so))))


def device_mesh(batch_size: int, fold: int = 1, data: int = -1) -> Mesh:
  """A mesh `('fold', 'data')` over all devices: folds side by side, batches split.

  Args:
    batch_size: clips in a batch of one fold.
    fold: how many folds (and seeds) are trained at once; -1: as many as there are
      devices for.
    data: over how many devices a fold's batch is split; -1: over what there is.

  Raises:
    UserError: the devices cannot be shared like that, or a batch cannot.
  """
  devices = jax.device_count()
  asked = f"config.mesh is fold={fold}, data={data}"
  sizes = [size for size in (fold, data) if size != -1]
  if any(size < 1 for size in sizes) or not sizes:
    raise UserError(f"{asked}; expected numbers from 1, and -1 for one of them")
  if devices % sizes[0]:
    raise UserError(f"{asked}, but {devices} devices are no multiple of {sizes[0]}")
  fold, data = (devices // sizes[0] if n == -1 else n for n in (fold, data))
  if fold * data != devices:
    raise UserError(f"{asked}, {fold * data} devices, but there are {devices}")
  if batch_size % data:
    nearest = max(data, round(batch_size / data) * data)
    raise UserError(
      f"config.train.batch_size is {batch_size}, which {data} devices cannot share "
      f"evenly; the nearest that they can is {nearest}"
    )
  # Auto axes: batch indexing inside the compiled step needs no sharding rules.
  return jax.make_mesh((fold, data), ("fold", "data"), axis_types=(AxisType.Auto,) * 2)


def on_cpu(mesh: Mesh) -> bool:
  """Whether the mesh is of CPU devices."""
  return mesh.devices.flat[0].platform == "cpu"


def replicated(mesh: Mesh) -> NamedSharding:
  """The sharding of what every device holds whole: one state, resident clips."""
  return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh) -> NamedSharding:
  """The sharding that splits the leading (batch) axis over all devices."""
  return NamedSharding(mesh, PartitionSpec(("fold", "data")))


def over_folds(mesh: Mesh) -> NamedSharding:
  """The sharding of the states of several folds, (F, ...)."""
  return NamedSharding(mesh, PartitionSpec("fold"))


def over_folds_and_batch(mesh: Mesh) -> NamedSharding:
  """The sharding of the batches of K steps of several folds, (F, K, B, ...)."""
  return NamedSharding(mesh, PartitionSpec("fold", None, "data"))


def even_batch(batch_size: int, mesh: Mesh) -> int:
  """The smallest batch from `batch_size` on that all devices of `mesh` can share."""
  return -(-batch_size // mesh.size) * mesh.size


def fits_device(num_bytes: int, share: float = 0.5) -> bool:
  """Whether `num_bytes` take at most `share` of a device's memory.

  A CPU reports no limit: there the arrays lie in host memory anyway. What is in use is
  not asked for: processes would answer differently, and must decide alike.
  """
  stats = jax.local_devices()[0].memory_stats() or {}
  limit = stats.get("bytes_limit")
  return limit is None or num_bytes <= share * limit
