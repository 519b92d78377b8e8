"""Measures how fast a compiled step runs, and how fast the device could run it at best.

A step that makes F floating-point operations and moves B bytes takes at least
max(F / peak, B / bandwidth) seconds (Williams, Waterman and Patterson, "Roofline",
CACM 2009). F and B are XLA's own count for the compiled program; both ceilings are
measured here, on the same device.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from infusenet_jax.benchmark.machine import free_memory


@dataclass(frozen=True)
class Timing:
  """Seconds of one call: median and quartiles of `repeats` calls."""

  median: float
  low: float
  high: float
  repeats: int


@dataclass(frozen=True)
class Ceilings:
  """What one device reaches, and on what that was measured.

  flops: floating-point operations a second, in a product of square matrices.
  bandwidth: bytes a second, read and written, in a copy.
  matrix_size: rows of these matrices.
  copied_bytes: size of the array that was copied.
  dtype: of the product.
  """

  flops: float
  bandwidth: float
  matrix_size: int
  copied_bytes: int
  dtype: str

  def seconds(self, flops: float, num_bytes: float) -> float:
    """Returns the shortest time that work of this size can take."""
    return max(flops / self.flops, num_bytes / self.bandwidth)


@dataclass(frozen=True)
class Measurement:
  """What was measured of one compiled step.

  Attributes:
    compile_seconds: from the Python function to machine code.
    flops, num_bytes: per call and device, as XLA counts them.
    memory: bytes of arguments, results and scratch space, per device.
    timing: of one call.
    attainable: seconds of one call at the roofline.
  """

  compile_seconds: float
  flops: float
  num_bytes: float
  memory: int
  timing: Timing
  attainable: float

  @property
  def share(self) -> float:
    """The share of the attainable speed that is reached, 0 to 1."""
    return self.attainable / self.timing.median

  def as_json(self) -> dict[str, Any]:
    """Returns all fields and the share as a dict."""
    return asdict(self) | {"roofline_share": self.share}


class DoesNotFit(Exception):
  """Raised if a step needs more memory than there is; the message says how much."""


def summary(seconds: list[float]) -> Timing:
  """Summarises repeated measurements by their median and quartiles."""
  low, median, high = np.quantile(seconds, (0.25, 0.5, 0.75))
  return Timing(float(median), float(low), float(high), len(seconds))


def time_calls(call: Callable[[], Any], repeats: int) -> Timing:
  """Times calls of a function until the arrays that it returns are ready.

  A first call is not timed.
  """
  seconds = []
  for _ in range(repeats + 1):
    start = time.perf_counter()
    jax.block_until_ready(call())
    seconds.append(time.perf_counter() - start)
  return summary(seconds[1:])


def measure_ceilings(dtype: jnp.dtype, repeats: int = 7) -> Ceilings:
  """Measures the ceilings: the fastest of `repeats` matrix products, and of copies.

  The product is in `dtype`, at JAX's default precision, as the network's convolutions
  are.
  """
  on_cpu = jax.default_backend() == "cpu"
  size = 2048 if on_cpu else 8192
  a = jax.random.normal(jax.random.key(0), (size, size), dtype)
  multiply = jax.jit(lambda a: a @ a)
  fastest = _fastest(lambda: multiply(a), repeats)
  x = jnp.ones((1 << (26 if on_cpu else 28),), jnp.float32)
  # The argument is donated, so that the time to get new memory is not measured. A plain
  # copy could be left out by the compiler; a change of sign cannot.
  copy = jax.jit(jnp.negative, donate_argnums=0)

  def copy_once() -> jax.Array:
    nonlocal x
    x = copy(x)
    return x

  return Ceilings(
    flops=2 * size**3 / fastest,
    bandwidth=2 * x.nbytes / _fastest(copy_once, repeats),
    matrix_size=size,
    copied_bytes=x.nbytes,
    dtype=str(jnp.dtype(dtype)),
  )


def _fastest(call: Callable[[], jax.Array], repeats: int) -> float:
  call().block_until_ready()
  seconds = []
  for _ in range(repeats):
    start = time.perf_counter()
    call().block_until_ready()
    seconds.append(time.perf_counter() - start)
  return min(seconds)


def compile_step(step: Callable, arguments: tuple) -> tuple[Any, float]:
  """Compiles a step; returns the program and the seconds that compiling took.

  Raises:
    DoesNotFit: the program would need more memory than is free now.
  """
  start = time.perf_counter()
  compiled = step.lower(*arguments).compile()
  seconds = time.perf_counter() - start
  # Only scratch space and results are new; the arguments are in memory already.
  analysis = compiled.memory_analysis()
  needed = analysis.temp_size_in_bytes + analysis.output_size_in_bytes
  needed -= analysis.alias_size_in_bytes
  free = free_memory()
  if free is not None and needed > free:
    raise DoesNotFit(f"needs {needed / 1e9:.1f} GB more, {free / 1e9:.1f} GB are free")
  return compiled, seconds


def measure(
  compiled: Any,
  compile_seconds: float,
  call: Callable[[], Any],
  ceilings: Ceilings,
  repeats: int,
) -> Measurement:
  """Times `call`, which runs the program `compiled` once.

  Raises:
    DoesNotFit: the device ran out of memory.
  """
  cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
  try:
    timing = time_calls(call, repeats)
  except jax.errors.JaxRuntimeError as error:
    if "RESOURCE_EXHAUSTED" not in str(error):
      raise
    raise DoesNotFit("the device ran out of memory") from error
  flops, num_bytes = float(cost["flops"]), float(cost["bytes accessed"])
  return Measurement(
    compile_seconds=compile_seconds,
    flops=flops,
    num_bytes=num_bytes,
    memory=memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    + memory.temp_size_in_bytes
    - memory.alias_size_in_bytes,
    timing=timing,
    attainable=ceilings.seconds(flops, num_bytes),
  )
