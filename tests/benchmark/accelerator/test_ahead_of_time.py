"""The train step compiled for a TPU that is not there."""

import importlib.util

import jax
import pytest

from infusenet_jax.benchmark.accelerator import ahead_of_time as module
from infusenet_jax.runtime.errors import UserError

has_libtpu = importlib.util.find_spec("libtpu") is not None


@pytest.mark.skipif(has_libtpu, reason="libtpu is there")
def test_libtpu_is_asked_for():
  with pytest.raises(UserError, match="libtpu is not installed; try: pip install"):
    module.main([])


def test_what_xla_counts_is_told_in_units():
  compiled = jax.jit(lambda x: x @ x).lower(jax.numpy.ones((100, 100))).compile()
  told = module.counted(compiled)
  assert told["operations"] == "0.002 GFLOP"  # 2 x 100^3.
  assert told["arguments (state and batch)"] == "4e-05 GB"


@pytest.mark.release
@pytest.mark.skipif(not has_libtpu, reason="needs libtpu")
def test_a_tiny_step_is_compiled_for_a_tpu(capsys):
  module.main(["--tiny"])
  said = capsys.readouterr().out
  assert "v5e:2x2" in said and "| operations" in said
  with pytest.raises(UserError, match="--topology=v9:1x1: libtpu does not know it"):
    module.main(["--topology=v9:1x1"])
