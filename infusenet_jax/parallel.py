"""What a process starts with: compiled programs kept, the mesh, what is sharded."""

import os
from pathlib import Path

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from infusenet_jax.errors import UserError


def keep_compiled() -> None:
  """Keeps compiled programs between runs, so that resuming compiles nothing anew."""
  if not jax.config.jax_compilation_cache_dir:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jax.config.update(
      "jax_compilation_cache_dir", str(caches / "infusenet_jax" / "xla")
    )


def data_mesh(batch_size: int) -> Mesh:
  """A mesh `('data',)` over all devices.

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
