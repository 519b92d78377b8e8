"""What tests of several networks share."""

import pytest
from flax import nnx

from infusenet_jax.models.magnifier import Magnifier


@pytest.fixture(scope="module")
def magnifier() -> Magnifier:
  """With the weights that are drawn, not those that ship."""
  return Magnifier(rngs=nnx.Rngs(0))
