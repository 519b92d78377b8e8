"""A run on other records. Stands in for what the lead merges here."""

from pathlib import Path

from infusenet_jax.runtime.errors import UserError


def predict_records(run: Path, records: Path, out: Path) -> str:
  """Tests a run's networks on records; returns tables to be printed."""
  raise UserError(f"--records {records}: records cannot be predicted yet")
