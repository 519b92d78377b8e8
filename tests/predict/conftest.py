"""Films that several tests of `predict` look at, and networks without weights."""

from pathlib import Path

import pytest

from infusenet_jax.predict import aus
from infusenet_jax.predict.weights import networks as trained
from tests.predict.films import (
  PretendedNetworks,
  pretended_measure,
  smiles,
  write_film,
)


@pytest.fixture(scope="session")
def film(tmp_path_factory) -> Path:
  """Twelve frames at 50 a second, exact in RGB."""
  return write_film(tmp_path_factory.mktemp("film") / "smile.mkv", smiles())


@pytest.fixture
def pretended(monkeypatch) -> PretendedNetworks:
  """Networks that ship, and a flow that is not compiled."""
  networks = PretendedNetworks()
  monkeypatch.setattr(trained, "shipped", lambda: networks)
  monkeypatch.setattr(aus, "make_measure", pretended_measure)
  return networks
