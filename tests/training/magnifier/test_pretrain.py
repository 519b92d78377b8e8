import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs import magnifier as recipe
from infusenet_jax.models import weights
from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.training.magnifier.initial import eulerian_magnifier
from infusenet_jax.training.magnifier.pretrain import losses, pretrain
from infusenet_jax.training.magnifier.scenes import draw_pairs


@pytest.fixture
def config():
  config = recipe.get_config()
  config.update({"size": 16, "batch_size": 2, "still": 1, "steps": 4, "log_steps": 2})
  return config


def test_the_start_returns_a_still_frame_and_magnifies_a_moving_one():
  magnifier = eulerian_magnifier(seed=0)
  x = jnp.arange(48.0)
  wave = lambda shift: jnp.broadcast_to(  # noqa: E731
    0.5 * jnp.sin(0.3 * (x - shift))[None, None, :, None], (1, 48, 48, 3)
  )
  still = magnifier(wave(0.0), wave(0.0), 4.0)
  assert jnp.abs(still - wave(0.0)).mean() < 0.05
  change = magnifier(wave(0.0), wave(0.2), 4.0) - still
  truth = wave(0.8) - wave(0.0)
  assert jnp.vdot(change, truth) > 0.8 * jnp.linalg.norm(change) * jnp.linalg.norm(
    truth
  )


@pytest.mark.slow
def test_losses_are_zero_for_a_perfect_decoder_and_count_light_without_motion():
  pairs = draw_pairs(np.random.default_rng(0), 4, 32, still=1)
  magnifier = eulerian_magnifier(seed=0)
  image, still = losses(magnifier, pairs)
  assert image > 0 and still > 0
  perfect = pairs._replace(target=magnifier(pairs.first, pairs.second, pairs.amp))
  assert losses(magnifier, perfect)[0] == pytest.approx(0, abs=1e-5)
  dark = pairs._replace(
    first=np.where(pairs.still[:, None, None, None], pairs.second, pairs.first)
  )
  assert losses(magnifier, dark)[1] == 0


@pytest.mark.slow
def test_pretraining_writes_weights_and_resumes_where_it_was_killed(
  config, tmp_path, monkeypatch
):
  pretrain(config, tmp_path / "whole")
  from infusenet_jax.training.magnifier import pretrain as module

  draw = module.draw_pairs

  def killed_at_the_third(rng, *arguments):
    killed_at_the_third.calls += 1
    if killed_at_the_third.calls == 3:
      raise KeyboardInterrupt
    return draw(rng, *arguments)

  killed_at_the_third.calls = 0
  monkeypatch.setattr(module, "draw_pairs", killed_at_the_third)
  with pytest.raises(KeyboardInterrupt):
    pretrain(config, tmp_path / "killed")
  monkeypatch.setattr(module, "draw_pairs", draw)
  pretrain(config, tmp_path / "killed")

  states = [
    weights.read(tmp_path / run / "magnifier.npz") for run in ("whole", "killed")
  ]
  for name, tensor in states[0].items():
    np.testing.assert_array_equal(tensor, states[1][name], err_msg=name)
  magnifier = Magnifier(rngs=nnx.Rngs(1))
  weights.load_magnifier(magnifier, tmp_path / "whole" / "magnifier.npz")
  assert all(jnp.isfinite(x).all() for x in jax.tree.leaves(nnx.state(magnifier)))
