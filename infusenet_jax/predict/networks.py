"""Trained networks as `predict` asks them. Stands in for what the lead merges here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from infusenet_jax.runtime.errors import UserError


@dataclass(frozen=True)
class Made:
  """How the records were made that networks learned from."""

  size: int
  flow: str = "infusenet"
  strain: str = "textbook"


class Networks(Protocol):
  """The networks of all folds and seeds of a run, as one."""

  record_size: int
  made: Made
  card: dict[str, Any]

  def probabilities(
    self,
    onset: np.ndarray,
    apex: np.ndarray,
    flow: np.ndarray,
    window_apex: np.ndarray | None = None,
  ) -> np.ndarray:
    """(N, 12) calibrated, of crops (N, S, S, 3) uint8 RGB and flow (N, S, S, 3)."""

  def magnified(self, onset: np.ndarray, apex: np.ndarray, amp: float) -> np.ndarray:
    """Apexes, their motion magnified: (N, H, W, 3) uint8 RGB, of frames alike."""

  def looked(
    self,
    onset: np.ndarray,
    apex: np.ndarray,
    flow: np.ndarray,
    window_apex: np.ndarray | None = None,
  ) -> np.ndarray:
    """(N, S, S) where they looked."""


def load_run(folder: str | Path) -> Networks:
  """Loads a finished run."""
  raise UserError(f"--run {folder}: runs cannot be loaded yet")


def shipped() -> Networks:
  """Loads the weights that ship with the package."""
  raise UserError("no weights ship with this package yet; name a run: --run RUN")
