"""The authors' network, rebuilt from its published facts: what the port is held to.

`procedural_state` and `procedural_inputs` are the formulas behind the two oracle files
in tests/data, which hold what the authors' PyTorch network computes in float64.
"""

import zlib
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent
ORACLES = ("infusenet_seed1_64.npz", "infusenet_seed2_96.npz")


def procedural(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
  h = (zlib.crc32(name.encode()) + 7919 * seed) % 100003
  i = np.arange(np.prod(shape, dtype=int), dtype=np.float64)
  wave = np.sin(i * (0.731 + 0.011 * (h % 89)) + 0.37 * h)
  return (wave + 0.5 * np.cos(i * (1.933 + 0.007 * (h % 53)))).reshape(shape)


def procedural_state(shapes: dict[str, tuple[int, ...]], seed: int) -> dict:
  """A state with those names and shapes, in float64 but exact in float32."""
  return {
    name: _scaled(name, procedural(name, shape, seed)).astype(np.float32).astype(float)
    for name, shape in shapes.items()
  }


def _scaled(name: str, x: np.ndarray) -> np.ndarray:
  if name.endswith(".running_var"):
    return 1 + 0.3 * abs(x)
  if name.endswith(".running_mean"):
    return 0.05 * x
  if x.ndim == 4:
    return 1.8 * x / np.sqrt(np.prod(x.shape[1:]))
  if x.ndim == 2:
    return x / np.sqrt(x.shape[1])
  return 1 + 0.2 * x if name.endswith(".weight") else 0.1 * x


def procedural_inputs(seed: int, size: int, batch: int):
  """(flow, onset, apex, window apex), (B, H, W, 3) each, and labels (B, 12)."""
  shape = (batch, 3, size, size)
  p = {
    name: procedural(f"input.{name}", shape, seed).transpose(0, 2, 3, 1) / 1.5
    for name in ("flow", "onset", "apex", "window")
  }
  frames = (0.9 * p["onset"] + 0.1 * p[name] for name in ("apex", "window"))
  labels = procedural("input.labels", (batch, 12), seed) > 0.6
  return ((p["flow"] + 1) / 2, p["onset"], *frames), labels


def relative_error(found, expected) -> float:
  expected = np.asarray(expected, np.float64)
  return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
