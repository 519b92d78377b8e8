"""What `Networks.probabilities` does, as one function of arrays that JAX can export.

Weights are constants in it, rotations are evaluated and multiplied into the weights
beside them (`models.folded`), and what NumPy and OpenCV do to crops and flow before the
networks see them is done by products with constant matrices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from infusenet_jax.clips.flow.strain import STRAINS
from infusenet_jax.clips.records import EVEN, resize
from infusenet_jax.clips.schema import FRAMES, OFFSET
from infusenet_jax.evaluate.calibration import UNCALIBRATED
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.models.folded import FoldedInfuseNet
from infusenet_jax.models.infusenet import InfuseNet
from infusenet_jax.models.infusion import FlowContextGate
from infusenet_jax.predict.weights.networks import Networks
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine.network import decide
from infusenet_jax.training.engine.steps import scale_frame

_SMALL = 1000  # Constants with fewer numbers are not worth storing in half.


@dataclass(frozen=True)
class Program:
  """A function of named arrays with a leading batch axis.

  Attributes:
    function: (**inputs) -> {"probabilities": (N, 12), "logits": (N, 12)}, float32.
    inputs: by name, the shape behind the batch axis and the type.
    num_bytes: of all weights in it.
  """

  function: Callable[..., dict[str, jax.Array]]
  inputs: dict[str, tuple[tuple[int, ...], np.dtype]]
  num_bytes: int


def make_program(networks: Networks) -> Program:
  """The program of some trained networks: the mean of all of them, calibrated.

  Raises:
    UserError: they look at the offset.
  """
  if OFFSET in networks.needs:
    raise UserError(
      f"config.model.reference is {networks.config.model.reference!r}: networks that "
      "look at the offset cannot be exported; predict with the run itself"
    )
  size, seen = networks.record_size, networks.image_size
  frames = [name for name in networks.needs if name in FRAMES]
  shrink = _Resize(size, seen)
  # What comes from one frozen magnifier is the same for all networks.
  shared = bool(frames) and not networks.config.train.magnifier
  members = [_Member(networks, weights) for weights, _ in networks.weights]
  calibration = networks.calibration or UNCALIBRATED
  temperature, bias = (
    np.asarray(x, np.float32) for x in (calibration.temperature, calibration.bias)
  )
  strain = STRAINS.get(networks.made.strain, STRAINS["textbook"])

  def function(**given: jax.Array) -> dict[str, jax.Array]:
    # Products as exact as float32 allows, on GPUs and TPUs, too.
    with jax.default_matmul_precision("highest"):
      flow = _network_flow(given["flow"], strain, shrink)
      pictures = [scale_frame(shrink.frame(given[name])) for name in frames]
      if len(pictures) == 2:  # No window apex is looked at.
        pictures.append(pictures[-1])
      latents, heads = None, []
      for place, member in enumerate(members):
        model = member.model()
        if pictures and (place == 0 or not shared):
          latents = model.magnified_latents(*pictures)
        logits = model.heads(flow, latents)
        heads.append(jnp.stack(logits).astype(jnp.float32))
      mean = sum(heads) / len(heads)
      decided = decide(mean, networks.network.head_names, networks.config.decide_by)
      scaled = jax.nn.sigmoid(decided / temperature + bias)
      return {"logits": decided, "probabilities": scaled}

  # All that an artefact says by itself of where it comes from.
  simulated = "_trained_on_simulated_faces" if networks.card.get("simulated") else ""
  function.__name__ = f"action_units{simulated}"
  inputs = dict.fromkeys(frames, ((size, size, 3), np.dtype(np.uint8)))
  inputs["flow"] = ((size, size, 2), np.dtype(np.float32))
  return Program(function, inputs, sum(member.num_bytes for member in members))


class _Member:
  """One network, its weights kept in half the bytes where that loses nothing."""

  def __init__(self, networks: Networks, weights: tuple):
    # A copy: a module that is merged shares its variables, and folding changes them.
    weights = jax.tree.map(lambda leaf: leaf, weights)
    model = nnx.merge(networks.network.graph, *weights)
    model.eval()
    if isinstance(model, InfuseNet):
      # Each clip is a batch of its own, as for `Networks`.
      model.gate = FlowContextGate("clip")
      model = FoldedInfuseNet(model)
      model.eval()
    self._graph, state = nnx.split(model)
    leaves, self._tree = jax.tree.flatten(state)
    self._leaves = [_stored(leaf) for leaf in leaves]
    self.num_bytes = sum(getattr(leaf, "nbytes", 0) for leaf in self._leaves)

  def model(self) -> Classifier:
    """The network; to be called while a program is traced."""
    leaves = [
      jnp.asarray(leaf).astype(jnp.float32) if leaf.dtype == np.float16 else leaf
      for leaf in self._leaves
    ]
    return nnx.merge(self._graph, jax.tree.unflatten(self._tree, leaves))


def _stored(leaf: Any) -> Any:
  if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) or leaf.dtype != jnp.float32:
    return leaf  # Of a baseline's dropout, which is off.
  whole = np.asarray(leaf)
  if whole.size < _SMALL:
    return whole
  with np.errstate(over="ignore"):
    half = whole.astype(np.float16)
  return half if np.array_equal(half.astype(np.float32), whole) else whole


class _Resize:
  """`clips.records.resize` as two products with a matrix."""

  def __init__(self, old: int, new: int):
    self._matrix = None
    if old != new:
      # Ask it what becomes of each row.
      rows = np.repeat(np.eye(old, dtype=np.float32)[:, :, None], old, 2)
      self._matrix = np.stack([resize(row, new)[:, 0] for row in rows], 1)
    # OpenCV rounds halves to even numbers, but those of four pixels up.
    self._halves_up = old == 2 * new

  def __call__(self, x: jax.Array) -> jax.Array:
    """(B, old, old, C) -> (B, new, new, C), float32."""
    if self._matrix is None:
      return x
    return jnp.einsum("ih,jw,bhwc->bijc", self._matrix, self._matrix, x)

  def frame(self, x: jax.Array) -> jax.Array:
    """The same of (B, old, old, 3) uint8, rounded to whole numbers."""
    if self._matrix is None:
      return x
    exact = self(x.astype(jnp.float32))
    return jnp.floor(exact + 0.5) if self._halves_up else jnp.round(exact)


def _network_flow(
  flow: jax.Array,
  strain: Callable[[jax.Array], jax.Array],
  shrink: _Resize,
) -> jax.Array:
  """u and v as a network sees them, strain beside: `clips.records.network_flow`."""
  flow = jnp.concatenate([flow, strain(flow)[..., None]], -1)
  flow = shrink(halved(flow))
  low, high = (f(flow, (1, 2), keepdims=True) for f in (jnp.min, jnp.max))
  uneven = high - low > EVEN * jnp.maximum(jnp.abs(low), jnp.abs(high))
  return jnp.where(uneven, halved((flow - low) / jnp.where(uneven, high - low, 1)), 0)


def halved(x: jax.Array) -> jax.Array:
  """Rounds float32 as float16, which records hold, rounds, and leaves it float32.

  By arithmetic: XLA may take two casts in a row for superfluous, and its
  `reduce_precision` makes 0 of what is below 2^-14.
  """
  tiny = jnp.round(x * 2**24) / 2**24
  rounded = jax.lax.reduce_precision(x, exponent_bits=5, mantissa_bits=10)
  return jnp.where(jnp.abs(x) < 2**-14, tiny, rounded)
