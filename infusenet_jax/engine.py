"""The compiled steps: pure state in, pure state out, over a mesh of devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh

from infusenet_jax.data import FRAMES
from infusenet_jax.parallel import over_batch, replicated

Batch = dict[str, jax.Array]


class TrainState(NamedTuple):
  """Everything that a step changes, and the frozen weights that it needs.

  Attributes:
    params: trained parameters, float32.
    frozen: parameters that are not trained (the magnifier's, by default).
    rest: batch statistics and whatever else the model keeps.
    opt_state: the optimiser's state.
    step: () int32, updates made so far.
    loss_sum: () float32, sum of the losses since the epoch began.
    failed_step: () int32, the first step whose loss or gradient was not finite, or -1.
      From it on nothing is updated, so that the state can be looked at.
  """

  params: nnx.State
  frozen: nnx.State
  rest: nnx.State
  opt_state: optax.OptState
  step: jax.Array
  loss_sum: jax.Array
  failed_step: jax.Array


def make_optimizer(learning_rate: float, l2: float) -> optax.GradientTransformation:
  """Adam with the L2 penalty added to the gradient, as the CD6ME benchmark trains."""
  return optax.chain(optax.add_decayed_weights(l2), optax.adam(learning_rate))


def split_model(
  model: nnx.Module, train_magnifier: bool
) -> tuple[nnx.GraphDef, nnx.State, nnx.State, nnx.State]:
  """Structure, trained parameters, frozen parameters, everything else."""
  trained = nnx.Param
  if not train_magnifier:
    trained = nnx.All(nnx.Param, nnx.Not(nnx.PathContains("magnifier")))
  return nnx.split(model, trained, nnx.Param, ...)


def new_state(
  params: nnx.State,
  frozen: nnx.State,
  rest: nnx.State,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
) -> TrainState:
  """The state before the first step, a copy of its own on every device of `mesh`."""
  params, frozen, rest = jax.tree.map(jnp.copy, (params, frozen, rest))
  state = TrainState(
    params,
    frozen,
    rest,
    optimizer.init(params),
    jnp.int32(0),
    jnp.float32(0),
    jnp.int32(-1),
  )
  return jax.device_put(state, replicated(mesh))


def make_train_step(
  graph: nnx.GraphDef, optimizer: optax.GradientTransformation, mesh: Mesh
) -> Callable[[TrainState, Batch], TrainState]:
  """Compiles one update. The state is donated; batches are split over the devices.

  A batch holds `flow` (B, H, W, 3) in [0, 1], `labels` (B, 12), `weights` (B,), and
  `latents` (B, H/4, W/4, 64) or the uint8 frames `onset`, `apex`, `window_apex`.
  """

  def step(state: TrainState, batch: Batch) -> TrainState:
    def loss_of(params):
      model = nnx.merge(graph, params, state.frozen, state.rest, copy=True)
      model.train()
      loss = sum(
        masked_bce(logits, batch["labels"], batch["weights"])
        for logits in classify(model, batch)
      )
      return loss, nnx.split(model, nnx.Param, ...)[2]

    (loss, rest), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(grads))
    sound = finite & (state.failed_step < 0)

    def keep(new, old):
      return jax.tree.map(lambda n, o: jnp.where(sound, n, o), new, old)

    return TrainState(
      params=keep(params, state.params),
      frozen=state.frozen,
      rest=keep(rest, state.rest),
      opt_state=keep(opt_state, state.opt_state),
      step=state.step + 1,
      loss_sum=state.loss_sum + loss,
      failed_step=jnp.where(
        finite | (state.failed_step >= 0), state.failed_step, state.step
      ),
    )

  whole, split = replicated(mesh), over_batch(mesh)
  return jax.jit(
    step, in_shardings=(whole, split), out_shardings=whole, donate_argnums=0
  )


def make_rotate(graph: nnx.GraphDef, mesh: Mesh) -> Callable[..., Any]:
  """Compiles (params, frozen, rest) -> the orthogonal matrices of the infusions."""

  def rotate(params, frozen, rest):
    return nnx.merge(graph, params, frozen, rest).rotations()

  whole = replicated(mesh)
  return jax.jit(rotate, in_shardings=whole, out_shardings=whole)


def make_eval_step(graph: nnx.GraphDef, mesh: Mesh) -> Callable[..., jax.Array]:
  """Compiles (params, frozen, rest, rotations, batch) -> logits (2, B, 12), float32."""

  def step(params, frozen, rest, rotations, batch):
    model = nnx.merge(graph, params, frozen, rest)
    model.eval()
    return jnp.stack(classify(model, batch, rotations)).astype(jnp.float32)

  whole, split = replicated(mesh), over_batch(mesh)
  in_shardings = (whole, whole, whole, whole, split)
  return jax.jit(step, in_shardings=in_shardings, out_shardings=whole)


def make_magnify(graph: nnx.GraphDef, mesh: Mesh) -> Callable[..., jax.Array]:
  """Compiles (params, frozen, rest, frames) -> magnified latents (B, H/4, W/4, 64)."""

  def step(params, frozen, rest, frames):
    model = nnx.merge(graph, params, frozen, rest)
    return model.magnified_latents(*(scale_frame(frames[name]) for name in FRAMES))

  whole, split = replicated(mesh), over_batch(mesh)
  return jax.jit(step, in_shardings=(whole, whole, whole, split), out_shardings=split)


def classify(model: Any, batch: Batch, rotations: Any = None) -> tuple[jax.Array, ...]:
  """The logits (B, 12) of both heads, from cached latents or from the frames."""
  flow = batch["flow"].astype(jnp.float32)
  if "latents" in batch:
    return model.classify(flow, batch["latents"], rotations=rotations)
  if "onset" not in batch:  # A baseline, which sees the flow alone and has one head.
    return (model(flow),)
  frames = (scale_frame(batch[name]) for name in FRAMES)
  return model(flow, *frames, rotations=rotations)


def scale_frame(frame: jax.Array) -> jax.Array:
  """uint8 RGB -> float32 in [-1, 1], the range of the published network."""
  return frame.astype(jnp.float32) / 127.5 - 1


def masked_bce(logits: jax.Array, labels: jax.Array, weights: jax.Array) -> jax.Array:
  """Binary cross-entropy, mean over AUs and, by `weights` (B,), over clips."""
  logits = logits.astype(jnp.float32)
  each = optax.sigmoid_binary_cross_entropy(logits, labels.astype(jnp.float32)).mean(-1)
  return (each * weights).sum() / weights.sum()
