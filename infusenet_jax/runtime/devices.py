"""Processes and devices: how they start and share the folds and batches."""

import ctypes
import os
import platform
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from infusenet_jax.runtime.errors import UserError

# Seconds without a sign of life after which a process counts as dead.
_HEARTBEAT = 30
# Options of mallopt, numbered as in malloc.h, and their values: one arena
# (M_ARENA_MAX), no mmap (M_MMAP_MAX), and no trimming (M_TRIM_THRESHOLD), whose largest
# number, 2 GiB, is less than a step at 224 px needs.
_MALLOC = {-8: 1, -4: 0, -1: -1}
# Messages of jaxlib 0.10 that mean that another process has ended. They come from gloo,
# between CPUs (whose errors of other causes read "[enforce fail at"), from NCCL,
# between GPUs (of whose errors only ncclRemoteError means this), and from the
# coordination service, which process 0 runs.
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
  """Tells glibc to reuse freed memory instead of returning it to the system.

  On a CPU XLA allocates the scratch memory of a step (0.4 GB at 112 px) in each call.
  By default glibc gets it from the system and returns it every time, which costs
  110,000 page faults a step. Call this before JAX computes anything. Without glibc it
  does nothing.
  """
  if platform.libc_ver()[0] == "glibc":
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in _MALLOC.items():
      mallopt(option, value)


def keep_compiled() -> None:
  """Keeps compiled programs on disk, so that a resumed run does not recompile."""
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

  On a TPU pod, in SLURM and in GKE all three arguments can be left out: they are then
  read from the environment.

  Args:
    coordinator: HOST:PORT of process 0.
    processes: how many processes there are.
    process: the number of this process, from 0.

  Raises:
    UserError: the arguments are left out and the environment does not tell them, or
      the other processes do not answer.
  """
  # Programs are run one after the other: all processes must issue gloo's collectives
  # in the same order.
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
  """Returns a line for the user if `error` means that another process has ended."""
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
  """Waits until every process has called this with the same `reason`."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(reason)


def all_agree(so: bool) -> bool:
  """Whether `so` is true in every process; all processes must call this."""
  if jax.process_count() == 1:
    return so
  return bool(np.all(multihost_utils.process_allgather(np.array(so))))


def device_mesh(batch_size: int, fold: int = 1, data: int = -1) -> Mesh:
  """Arranges all devices as a mesh with the axes `('fold', 'data')`.

  Args:
    batch_size: clips in a batch of one fold.
    fold: how many folds (and seeds) are trained at once, each on its own devices; -1
      for the number of devices divided by `data`.
    data: over how many devices the batch of a fold is split; -1 for the number of
      devices divided by `fold`.

  Raises:
    UserError: `fold` times `data` is not the number of devices, or a batch cannot be
      split evenly over `data` devices.
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
  # With Auto axes, indexing a batch inside the compiled step needs no sharding rules.
  return jax.make_mesh((fold, data), ("fold", "data"), axis_types=(AxisType.Auto,) * 2)


def on_cpu(mesh: Mesh) -> bool:
  """Whether the mesh is of CPU devices."""
  return mesh.devices.flat[0].platform == "cpu"


def replicated(mesh: Mesh) -> NamedSharding:
  """The sharding of an array that every device holds whole."""
  return NamedSharding(mesh, PartitionSpec())


def replicate(tree: Any, mesh: Mesh) -> Any:
  """Copies each array of a tree to all devices, those of other processes too."""
  where = replicated(mesh)

  def copy(x: jax.Array) -> jax.Array:
    if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      return jax.device_put(x, where)
    # JAX 0.10 takes no keys to devices of other processes, only what they are made of.
    data = jax.device_put(jax.random.key_data(x), where)
    return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))

  return jax.tree.map(copy, tree)


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
  """Rounds `batch_size` up to a multiple of the number of devices of `mesh`."""
  return -(-batch_size // mesh.size) * mesh.size


def fits_device(num_bytes: int, share: float = 0.5) -> bool:
  """Whether `num_bytes` take at most `share` of a device's memory.

  A CPU reports no limit, so that everything fits: its arrays lie in host memory anyway.
  Memory that is already in use does not count: it differs between processes, and all
  processes must come to the same answer.
  """
  stats = jax.local_devices()[0].memory_stats() or {}
  limit = stats.get("bytes_limit")
  return limit is None or num_bytes <= share * limit
