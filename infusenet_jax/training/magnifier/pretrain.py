"""Pretrains the magnifier on scenes made on the fly; see scenes.py and the config.

The loss of a batch is the mean over its pairs of

    |decoded - target| / (|second - target| + 0.02)  +  w * |d(still)| / |d(moving)|

with |.| the mean absolute value and d the magnified difference, per unit of amp - 1.
Oh et al. (ECCV 2018) have the first term's numerator; dividing by what is lost when
nothing is magnified keeps large motions, which no network this small gets right, from
drowning the small ones (in trials without it, training ended at magnifying nothing).
The second term is ours: a change of light without motion must leave no magnified
difference. InfuseNet's classifier reads d and never a decoded frame, so this is where
artefacts enter it. Oh et al.'s regularisers split a latent into texture and shape;
this variant has no texture latent to regularise.
"""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from flax import nnx
from ml_collections import ConfigDict

from infusenet_jax.models import weights
from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.runtime.checkpoint import Checkpoints
from infusenet_jax.runtime.workdir import claim, keep_config
from infusenet_jax.training.magnifier.initial import eulerian_magnifier
from infusenet_jax.training.magnifier.scenes import Pairs, draw_pairs

_log = logging.getLogger(__name__)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PretrainState:
  """The state of pretraining; in the end `average`, of the parameters, is kept."""

  params: nnx.State
  average: nnx.State
  opt_state: optax.OptState
  step: jax.Array


def pretrain(config: ConfigDict, workdir: str | Path) -> None:
  """Trains a magnifier and writes WORKDIR/magnifier.npz.

  Running it again with the same workdir goes on from the newest checkpoint: batches
  depend on the seed and the step alone.
  """
  graph, params = nnx.split(eulerian_magnifier(config.seed))
  optimizer = make_optimizer(config)
  step = make_step(graph, optimizer, config.still_weight)
  with contextlib.ExitStack() as stack:
    folder = stack.enter_context(claim(workdir, config))
    keep_config(folder, config, records={})
    # Closed whatever happens: the last one may still be being written.
    checkpoints = stack.enter_context(
      contextlib.closing(Checkpoints(folder / "checkpoints"))
    )
    average = jax.tree.map(jnp.copy, params)
    fresh = PretrainState(params, average, optimizer.init(params), jnp.int32(0))
    state = checkpoints.restore(fresh) or fresh
    losses, start, first = [], time.monotonic(), int(state.step)
    for number, pairs in batches(config, first):
      state, loss = step(state, pairs)
      losses.append(loss)
      if number % config.log_steps == 0 or number == config.steps:
        checkpoints.save(state)
        magnifier = nnx.merge(graph, state.average)
        weights.write(folder / "magnifier.npz", weights.to_torch(magnifier))
        image, still = np.mean(losses, axis=0)
        pace = (time.monotonic() - start) / (number - first)
        _log.info(
          "step %d of %d: image %.4f, still/moving %.3f, %.2f s a step, %.0f min left",
          *(number, config.steps, image, still),
          *(pace, pace * (config.steps - number) / 60),
        )
        losses = []


def batches(config: ConfigDict, done: int) -> Iterator[tuple[int, Pairs]]:
  """Yields (step, its batch) for the steps after `done`."""
  cv2.setNumThreads(1)  # OpenCV's threads gain nothing on images this small.
  for number in range(done + 1, config.steps + 1):
    rng = np.random.default_rng([config.seed, number])
    yield number, draw_pairs(rng, config.batch_size, config.size, config.still)


def make_optimizer(config: ConfigDict) -> optax.GradientTransformation:
  """Makes Muon, which takes kernels as (height x width x in, out) matrices.

  The learning rate rises for 50 steps at most and then falls to 0 by a cosine.
  """
  steps = config.steps
  schedule = optax.warmup_cosine_decay_schedule(
    0.0, config.learning_rate, min(50, steps // 2), steps
  )
  matrix = optax.contrib.MuonDimensionNumbers((0, 1, 2), 3)
  return optax.contrib.muon(
    schedule,
    beta=0.9,
    muon_weight_dimension_numbers=lambda params: jax.tree.map(lambda _: matrix, params),
  )


def make_step(graph: nnx.GraphDef, optimizer, still_weight: float):
  """Compiles (state, pairs) -> (state, (image loss, still / moving)); see `losses`."""

  def loss(params, pairs: Pairs):
    image, still = losses(nnx.merge(graph, params), pairs)
    return image + still_weight * still, (image, still)

  def step(state: PretrainState, pairs: Pairs):
    grads, parts = jax.grad(loss, has_aux=True)(state.params, pairs)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    # The running average is over about the last tenth of the steps, at most 1,000.
    keep = 1 - 1 / jnp.clip(state.step / 10, 1, 1000)
    average = jax.tree.map(
      lambda old, new: keep * old + (1 - keep) * new, state.average, params
    )
    return PretrainState(params, average, opt_state, state.step + 1), parts

  return jax.jit(step, donate_argnums=0)


def losses(magnifier: Magnifier, pairs: Pairs) -> tuple[jax.Array, jax.Array]:
  """Computes the two terms of the loss, as the module's docstring defines them."""
  a, b = jnp.split(magnifier.encoder(jnp.concatenate([pairs.first, pairs.second])), 2)
  d = magnifier.manipulator(a, b, pairs.amp[:, None, None, None])
  each = lambda x: jnp.mean(jnp.abs(x), axis=(1, 2, 3))  # noqa: E731
  error = each(magnifier.decoder(b + d) - pairs.target)
  image = jnp.mean(error / (each(pairs.second - pairs.target) + 0.02))
  size = each(d) / (pairs.amp - 1)
  mean = lambda where: jnp.sum(where * size) / jnp.maximum(jnp.sum(where), 1)  # noqa: E731
  return image, mean(pairs.still) / (mean(~pairs.still) + 1e-6)
