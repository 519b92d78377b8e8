"""The compiled steps: pure functions from state to state, over a mesh of devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from infusenet_jax.clips.schema import frames_held
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.runtime.devices import (
  on_cpu,
  over_batch,
  over_folds,
  over_folds_and_batch,
  replicate,
  replicated,
)
from infusenet_jax.training.engine import optim

Batch = dict[str, jax.Array]

# Updates in one dispatch, if the clips are on the device. A GPU or TPU makes an update
# in milliseconds, to which a dispatch for each update would add noticeably. On a CPU a
# dispatch costs nothing compared with an update, and the gradient of a convolution is
# many times slower inside a scan than outside.
STEPS_ON_ACCELERATORS, STEPS_ON_CPU = 20, 1
# Trained parameters, frozen parameters, batch statistics and the like.
Weights = tuple[nnx.State, nnx.State, nnx.State]
# A loss: from a network in training mode and a batch to a number; see losses.py.
Loss = Callable[[Classifier, Batch], jax.Array]


class TrainState(NamedTuple):
  """Everything that a step changes, and the frozen weights that it needs.

  Attributes:
    params: trained parameters, float32.
    frozen: parameters that are not trained (the magnifier's, by default).
    rest: batch statistics and whatever else the model keeps.
    opt_state: the optimiser's state.
    step: () int32, updates made so far.
    epoch_steps: () int32, updates in an epoch.
    seed: () uint32; with `step` it makes the random key of a step.
    loss_sum: () float32, sum of the losses since the epoch began.
    failed_step: () int32, the first step whose loss or gradient was not finite, or -1.
      From that step on nothing is updated, so that the state before it can be examined.
  """

  params: nnx.State
  frozen: nnx.State
  rest: nnx.State
  opt_state: optax.OptState
  step: jax.Array
  epoch_steps: jax.Array
  seed: jax.Array
  loss_sum: jax.Array
  failed_step: jax.Array

  @property
  def weights(self) -> Weights:
    """What a prediction needs: (params, frozen, rest)."""
    return self.params, self.frozen, self.rest


def split_model(
  model: nnx.Module, train_magnifier: bool
) -> tuple[nnx.GraphDef, nnx.State, nnx.State, nnx.State]:
  """Splits a model into structure, trained parameters, frozen ones, everything else."""
  trained = nnx.Param
  if not train_magnifier:
    trained = nnx.All(nnx.Param, nnx.Not(nnx.PathContains("magnifier")))
  return nnx.split(model, trained, nnx.Param, ...)


def new_state(
  weights: Weights, optimizer: optax.GradientTransformation, mesh: Mesh
) -> TrainState:
  """Makes the state before the first step, with a copy on every device of `mesh`."""
  params, frozen, rest = jax.tree.map(jnp.copy, weights)
  state = TrainState(
    params,
    frozen,
    rest,
    optimizer.init(params),
    step=jnp.int32(0),
    epoch_steps=jnp.int32(1),
    seed=jnp.uint32(0),
    loss_sum=jnp.float32(0),
    failed_step=jnp.int32(-1),
  )
  return replicate(state, mesh)


class Batches(NamedTuple):
  """The input of K updates of F folds side by side.

  Attributes:
    clips: what the network sees of all clips, (N, ...) in every array, whole on every
      device; {} if `steps` holds the clips.
    steps: (F, K, B, ...) in every array: `weights`, either the `numbers` of clips or
      the clips themselves, and what the loss is told of each clip.
  """

  clips: Batch
  steps: Batch


def steps_per_dispatch(mesh: Mesh) -> int:
  """Returns how many updates a dispatch to the devices of `mesh` should hold."""
  return STEPS_ON_CPU if on_cpu(mesh) else STEPS_ON_ACCELERATORS


def make_train_steps(
  graph: nnx.GraphDef,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  loss: Loss,
  *,
  mirror: Callable[[jax.Array, Batch], Batch] | None = None,
  cosine_epochs: int | None = None,
) -> Callable[[TrainState, Batches], tuple[TrainState, jax.Array]]:
  """Compiles K updates of F folds side by side, each on its own group of devices.

  Every leaf of the state has a leading axis (F,); the state is donated. A fold's batch
  of one step holds `flow` (B, H, W, 3) in [0, 1], `labels` (B, 12), `weights` (B,) and
  whatever else the model sees, for example `latents` (B, H/4, W/4, 64) or the uint8
  frames; and what the loss is told besides, such as `prior` (B, 12). A fold whose
  weights are all 0 makes no update in that step.

  Args:
    graph: structure of the network.
    optimizer: whose updates are applied.
    mesh: of the devices.
    loss: what is minimised; a task other than finding AUs brings its own.
    mirror: mirrors faces of a batch at random, given a key; none are if left out.
    cosine_epochs: over so many epochs the learning rate falls to 0; None keeps it.

  Returns:
    A function from (states, batches) to the new states and, (F, K), their `loss_sum`
    after each update, on all devices.
  """

  def update(state: TrainState, batch: Batch) -> TrainState:
    if mirror:
      key = jax.random.fold_in(jax.random.key(state.seed), state.step)
      batch = mirror(key, batch)

    def loss_of(params):
      model = nnx.merge(graph, params, state.frozen, state.rest, copy=True)
      model.train()
      return loss(model, batch), nnx.split(model, nnx.Param, ...)[2]

    (value, rest), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    if cosine_epochs:
      rate = optim.cosine(state.step, cosine_epochs * state.epoch_steps)
      updates = optax.tree.scale(rate, updates)
    params = optax.apply_updates(state.params, updates)
    takes_part = jnp.any(batch["weights"] > 0)
    finite = jnp.isfinite(value) & jnp.isfinite(optax.tree.norm(grads))
    fails = takes_part & ~finite & (state.failed_step < 0)
    sound = takes_part & finite & (state.failed_step < 0)
    begins = state.step % state.epoch_steps == 0

    def keep(new, old):
      return jax.tree.map(lambda n, o: jnp.where(sound, n, o), new, old)

    return TrainState(
      params=keep(params, state.params),
      frozen=state.frozen,
      rest=keep(rest, state.rest),
      opt_state=keep(opt_state, state.opt_state),
      step=state.step + takes_part,
      epoch_steps=state.epoch_steps,
      seed=state.seed,
      loss_sum=jnp.where(
        takes_part,
        jnp.where(begins, 0, state.loss_sum) + value.astype(state.loss_sum.dtype),
        state.loss_sum,
      ),
      failed_step=jnp.where(fails, state.step, state.failed_step),
    )

  def own_fold(states: TrainState, batches: Batches) -> tuple[TrainState, jax.Array]:
    def step(state: TrainState, own: Batch) -> tuple[TrainState, jax.Array]:
      state = update(state, _gathered(batches.clips, own))
      return state, state.loss_sum

    state, own = jax.tree.map(lambda x: x[0], (states, batches.steps))
    if len(own["weights"]) > 1:
      state, loss_sums = jax.lax.scan(step, state, own)
    else:
      state, loss_sums = step(state, jax.tree.map(lambda x: x[0], own))
    state, loss_sums = jax.tree.map(lambda x: x[None], (state, loss_sums))
    return state, loss_sums.reshape(1, -1)

  # shard_map splits the folds, which exchange nothing; XLA splits the batches.
  fold = PartitionSpec("fold")
  steps = jax.shard_map(
    own_fold,
    mesh=mesh,
    in_specs=(fold, Batches(PartitionSpec(), fold)),
    out_specs=fold,
    axis_names={"fold"},
    check_vma=False,
  )
  states, whole = over_folds(mesh), replicated(mesh)
  return jax.jit(
    steps,
    in_shardings=(states, Batches(whole, over_folds_and_batch(mesh))),
    out_shardings=(states, whole),
    donate_argnums=0,
  )


def _gathered(clips: Batch, own: Batch) -> Batch:
  """Returns one step's batch (B, ...); clips given by numbers are looked up."""
  if "numbers" not in own:
    return own
  own = dict(own)
  numbers = own.pop("numbers")
  return {name: array[numbers] for name, array in clips.items()} | own


class Stack(NamedTuple):
  """Compiled access to the states of F folds side by side, (F, ...) in every leaf.

  Attributes:
    fill: (state) -> states; copies one state to all places.
    put: (states, place, state) -> states; replaces the state in a place and donates
      `states`.
    pick: (states, place) -> state, whole on all devices.
    progress: (states) -> (loss_sum (F,), failed_step (F,)), whole on all devices.
  """

  fill: Callable[[TrainState], TrainState]
  put: Callable[[TrainState, int, TrainState], TrainState]
  pick: Callable[[TrainState, int], TrainState]
  progress: Callable[[TrainState], tuple[jax.Array, jax.Array]]


def make_stack(mesh: Mesh) -> Stack:
  """Compiles the access to the states of a mesh, one for each of its folds."""
  count, split, whole = mesh.shape["fold"], over_folds(mesh), replicated(mesh)

  def fill(state):
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), state)

  def put(states, place, state):
    def chosen(old, new):
      here = jnp.arange(count) == place
      return jnp.where(here.reshape(-1, *[1] * new.ndim), new, old)

    return jax.tree.map(chosen, states, state)

  return Stack(
    fill=jax.jit(fill, in_shardings=whole, out_shardings=split),
    put=jax.jit(
      put, in_shardings=(split, None, whole), out_shardings=split, donate_argnums=0
    ),
    pick=jax.jit(
      lambda states, place: jax.tree.map(lambda x: x[place], states),
      in_shardings=(split, None),
      out_shardings=whole,
    ),
    progress=jax.jit(
      lambda states: (states.loss_sum, states.failed_step),
      in_shardings=split,
      out_shardings=whole,
    ),
  )


def make_rotate(graph: nnx.GraphDef, mesh: Mesh) -> Callable[[Weights], Any]:
  """Compiles (weights) -> the orthogonal matrices of the infusions."""

  def rotate(weights):
    return nnx.merge(graph, *weights).rotations()

  whole = replicated(mesh)
  return jax.jit(rotate, in_shardings=whole, out_shardings=whole)


def make_eval_step(graph: nnx.GraphDef, mesh: Mesh) -> Callable[..., jax.Array]:
  """Compiles (weights, rotations, batch) -> logits (heads, B, 12), float32."""

  def step(weights, rotations, batch):
    model = nnx.merge(graph, *weights)
    model.eval()
    return jnp.stack(logits(model, batch, rotations)).astype(jnp.float32)

  whole, split = replicated(mesh), over_batch(mesh)
  return jax.jit(step, in_shardings=(whole, whole, split), out_shardings=whole)


def make_magnify(graph: nnx.GraphDef, mesh: Mesh) -> Callable[..., jax.Array]:
  """Compiles (weights, frames) -> what the network sees of the frames."""

  def step(weights, frames):
    return magnified_latents(nnx.merge(graph, *weights), frames)

  whole, split = replicated(mesh), over_batch(mesh)
  return jax.jit(step, in_shardings=(whole, split), out_shardings=whole)


def logits(
  model: Classifier, batch: Batch, rotations: Any = None
) -> tuple[jax.Array, ...]:
  """Computes the logits (B, 12) of all heads; `make_train_steps` describes a batch."""
  flow = batch["flow"].astype(jnp.float32)
  return model.heads(flow, magnified_latents(model, batch), rotations=rotations)


def magnified_latents(model: Classifier, batch: Batch) -> jax.Array | None:
  """Returns what the magnified branch sees, from the batch's latents or its frames."""
  if model.magnified is None:
    return None
  if "latents" in batch:
    return batch["latents"]
  names = frames_held(model.magnified.sees_offset)
  return model.magnified_latents(*(scale_frame(batch[name]) for name in names))


def scale_frame(frame: jax.Array) -> jax.Array:
  """Scales uint8 RGB to float32 in [-1, 1], the range of the published network."""
  return frame.astype(jnp.float32) / 127.5 - 1
