"""The video with its intervals marked. Stands in for what the lead merges here."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from infusenet_jax.predict.findings import Report
from infusenet_jax.runtime.errors import UserError


def write_movie(
  path: Path,
  report: Report,
  frames: Iterable[tuple[int, float, np.ndarray]],
  magnify: Callable[[np.ndarray, np.ndarray], np.ndarray],
  *,
  amp: float,
  size: int = 224,
) -> None:
  """Refuses."""
  raise UserError(f"{path}: cannot be written yet")
