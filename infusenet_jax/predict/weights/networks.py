"""The networks of a run, or those that ship, ready for anybody's faces.

    networks = load_run("runs/cd6me")
    networks.probabilities(onset, apex, flow)  # (N, 12), in the order of `labels.AUS`

Every network of the run has a say: their logits are averaged, as the heads of one
network are, and the mean is calibrated. So one number per AU stands behind both the
probability and the decision of the tables (logit > 0), and it is that number, averaged
over seeds, that the calibration was fitted on; means of probabilities would need a fit
of their own. An average over folds can be no part of a fit: every clip is known to five
of six folds.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jax
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from infusenet_jax.clips.flow.strain import STRAINS
from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.records import network_flow, resize
from infusenet_jax.clips.schema import FRAMES, OFFSET, frames_held
from infusenet_jax.evaluate.calibration import (
  UNCALIBRATED,
  Calibration,
  fit_predictions,
)
from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.models.weights import load_magnifier
from infusenet_jax.predict.weights.card import run_card
from infusenet_jax.predict.weights.packed import Packed, read_packed
from infusenet_jax.runtime.devices import device_mesh, even_batch
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.run_files import CONFIG
from infusenet_jax.training.engine.config import (
  check_config,
  magnifies,
  sees_frames,
  sees_offset,
)
from infusenet_jax.training.engine.inputs import put_batch
from infusenet_jax.training.engine.network import Network, build_network, decide
from infusenet_jax.training.engine.saliency import make_saliency
from infusenet_jax.training.engine.schedule import sequential_batches
from infusenet_jax.training.engine.steps import Batch, Weights, scale_frame
from infusenet_jax.training.trained import (
  Made,
  check_twin,
  open_run,
  records_made,
)

SHIPPED = Path(__file__).with_name("shipped.safetensors")
BATCH = 8  # Clips in a compiled batch, whatever is asked for.


@dataclass(frozen=True)
class Networks:
  """Trained networks of one architecture, averaged.

  Attributes:
    config: that they were trained with.
    network: their structure and compiled steps.
    members: (seed, fold) of each.
    weights: of each, with the rotations of its infusions.
    made: how the crops and flow must be made that they are shown.
    calibration: from mean logits to probabilities; None where there is no fit.
    card: for `findings.Report.model`.
  """

  config: ConfigDict
  network: Network
  members: tuple[tuple[int, str], ...]
  weights: tuple[tuple[Weights, Any], ...]
  made: Made
  calibration: Calibration | None
  card: dict

  @property
  def image_size(self) -> int:
    """Pixels that the networks see; crops of any other size are resized to it."""
    return self.config.image_size

  @property
  def record_size(self) -> int:
    """Pixels of the crops that they were trained on, before they were resized."""
    return self.made.size

  @property
  def needs(self) -> tuple[str, ...]:
    """What they look at, of "onset", "apex", "window_apex", "offset" and "flow"."""
    if not sees_frames(self.config):
      return ("flow",)
    frames = FRAMES if self.config.model.window_apex else FRAMES[:2]
    return (*frames, *[OFFSET] * sees_offset(self.config), "flow")

  def probabilities(
    self,
    onset: np.ndarray,
    apex: np.ndarray,
    flow: np.ndarray,
    window_apex: np.ndarray | None = None,
    offset: np.ndarray | None = None,
  ) -> np.ndarray:
    """The probability of each AU, calibrated where `calibration` is there.

    Crops are best of `record_size`: then they are resized exactly as records are. Where
    `made.head` is "removed", they and the flow are without the head's own motion, as
    `clips.flow.measured.steady_batch` makes them.

    Args:
      onset, apex: (N, S, S, 3) uint8 RGB, aligned by the onset.
      flow: (N, S, S, 2) flow from onset to apex in pixels of the crop; or
        (N, S, S, 3), with strain, as records have it.
      window_apex: (N, S, S, 3) uint8 RGB, of the frames around the apex the one that
        differs most from the onset; the apex stands in if left out.
      offset: (N, S, S, 3) uint8 RGB, aligned by the onset, for networks that look at it
        (`needs`); the onset stands in if left out.

    Returns:
      (N, 12) float64 in [0, 1], in the order of `labels.AUS`.

    Raises:
      ValueError: shapes that do not fit together.
    """
    logits = self.logits(self.see(onset, apex, flow, window_apex, offset))
    return (self.calibration or UNCALIBRATED)(logits)

  def see(
    self,
    onset: np.ndarray,
    apex: np.ndarray,
    flow: np.ndarray,
    window_apex: np.ndarray | None = None,
    offset: np.ndarray | None = None,
  ) -> dict[str, np.ndarray]:
    """What the networks look at, as `clips.records` has it; see `probabilities`."""
    frames = (onset, apex, apex if window_apex is None else window_apex)
    names = frames_held(sees_offset(self.config))
    if OFFSET in names:
      frames += (onset if offset is None else offset,)
    if np.ndim(flow) != 4 or np.shape(flow)[3] not in (2, 3):
      raise ValueError(f"flow is {np.shape(flow)}; expected (N, S, S, 2)")
    count, size = np.shape(flow)[:2]
    for name, array in zip(names, frames, strict=True):
      if np.shape(array) != (count, size, size, 3) or array.dtype != np.uint8:
        raise ValueError(
          f"{name} is {np.shape(array)} {array.dtype}; expected uint8 of "
          f"{(count, size, size, 3)}, the shape of the flow"
        )
    # Records hold float16, so that is what the networks know.
    flow = self._with_strain(flow).astype(np.float16)
    fit = np.zeros((0, *[self.image_size] * 2, 3))
    seen = {"flow": [network_flow(x, self.image_size)[0] for x in flow]}
    if sees_frames(self.config):
      for name, array in zip(names, frames, strict=True):
        seen[name] = [resize(x, self.image_size) for x in array]
    return {name: np.stack(x) if x else fit for name, x in seen.items()}

  def _with_strain(self, flow: np.ndarray) -> np.ndarray:
    if flow.shape[-1] == 3:
      return flow
    measure = STRAINS.get(self.made.strain, STRAINS["textbook"])
    strain = [np.asarray(measure(x.astype(np.float32))) for x in flow]
    strain = np.stack(strain) if strain else np.zeros(flow.shape[:3])
    return np.concatenate([flow, strain[..., None]], -1)

  def logits(
    self, seen: dict[str, np.ndarray], chosen: Sequence[int] | None = None
  ) -> np.ndarray:
    """Mean logits (N, 12) float64 of the networks, positive where an AU is decided for.

    Args:
      seen: what `see` returns: "flow" and, for networks that look at them, frames.
      chosen: places in `members`; all if left out.
    """
    weights = self.weights if chosen is None else [self.weights[i] for i in chosen]
    parts = [np.zeros((0, len(AUS)))]
    for batch, numbers in self._batches(seen):
      heads = sum(
        np.asarray(self.network.eval_step(*own, batch), np.float64) for own in weights
      )
      mean = decide(heads / len(weights), self.network.head_names, self._decide_by)
      parts.append(mean[: len(numbers)])
    return np.concatenate(parts)

  @property
  def _decide_by(self) -> str:
    return self.config.decide_by

  def _batches(self, seen: dict[str, np.ndarray]) -> Iterator[tuple[Batch, np.ndarray]]:
    """Batches of one size and which clips they hold; the last clip fills a batch up.

    One network after the other sees them: stacked, convolutions would be grouped by
    network, which CPUs are slow at, and all compilations would depend on how many.
    """
    mesh, numbers = self.network.mesh, np.arange(len(seen["flow"]))
    size = even_batch(BATCH, mesh)
    # A gate over the batch would mix clips that have nothing to do with each other.
    mixes = self.config.model.name == "infusenet" and self.config.model.gate == "batch"
    for own in np.split(numbers, len(numbers)) if mixes and len(numbers) else [numbers]:
      for padded, count in sequential_batches(own, size):
        batch = put_batch({name: x[padded] for name, x in seen.items()}, mesh)
        if "onset" in batch and not self.config.train.magnifier:
          # A frozen magnifier is the same in all networks of a run.
          latents = self.network.magnify(self.weights[0][0], batch)
          batch = {"flow": batch["flow"], "latents": latents}
        yield batch, padded[:count]

  def magnified(self, onset: np.ndarray, apex: np.ndarray, amp: float) -> np.ndarray:
    """The apex with its motion since the onset magnified, by the networks' magnifier.

    Networks that magnify nothing have none: the one that ships stands in.

    Args:
      onset, apex: (N, H, W, 3) uint8 RGB of any size from 16; compiled once per size.
      amp: how many times the motion.

    Returns:
      (N, H, W, 3) uint8.
    """
    if magnifies(self.config):
      graph, weights = self.network.graph, self.weights[0][0]
    else:
      graph, weights = _shipped_magnifier()
    height, width = np.shape(onset)[1:3]
    # The network halves and doubles the sides.
    images = [
      np.asarray(_magnify(graph, weights, a[None], b[None], amp))[0, :height, :width]
      for a, b in zip(onset, apex, strict=True)
    ]
    return np.stack(images) if images else np.zeros_like(onset)

  def looked(
    self,
    onset: np.ndarray,
    apex: np.ndarray,
    flow: np.ndarray,
    window_apex: np.ndarray | None = None,
    offset: np.ndarray | None = None,
  ) -> np.ndarray:
    """Where the networks looked, for the AUs that they decided for.

    That is how much these logits change with each pixel of what the magnified branch
    sees or, in networks whose flow branch points better or is alone, of the flow;
    for a clip without any such AU, the logit of the most probable one.

    Args:
      onset, apex, flow, window_apex, offset: as in `probabilities`.

    Returns:
      (N, S, S) float32, not negative.
    """
    seen = self.see(onset, apex, flow, window_apex, offset)
    logits = self.logits(seen)
    chosen = (logits > 0) | (logits == logits.max(1, keepdims=True))
    evidence = "magnified" if self.config.model.name in _LOOKS_MAGNIFIED else "flow"
    saliency = make_saliency(self.network.graph, self.network.mesh, self._decide_by)
    size, maps = np.shape(flow)[1], []
    for batch, numbers in self._batches(seen):
      padded = np.pad(numbers, (0, len(batch["flow"]) - len(numbers)), mode="edge")
      wanted = {"chosen": chosen[padded].astype(np.float32)}
      wanted = put_batch(wanted, self.network.mesh)["chosen"]
      mean = sum(
        np.asarray(saliency(*own, batch, wanted)[f"{evidence} saliency"])
        for own in self.weights
      ) / len(self.weights)
      maps += [_enlarged(x, size) for x in mean[: len(numbers)]]
    return np.stack(maps) if maps else np.zeros((0, size, size), np.float32)


# The networks whose magnified branch points better than their flow, or see no flow.
_LOOKS_MAGNIFIED = ("infusenet", "magnified_branch")


def _enlarged(x: np.ndarray, size: int) -> np.ndarray:
  return cv2.resize(x, (size, size), interpolation=cv2.INTER_LINEAR)


@functools.partial(jax.jit, static_argnums=0)
def _magnify(graph, weights, onset, apex, amp):
  model = nnx.merge(graph, *weights)
  magnifier = getattr(model, "magnifier", model)
  image = magnifier(scale_frame(onset), scale_frame(apex), amp)
  return jax.numpy.clip((image + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)


@functools.cache
def _shipped_magnifier() -> tuple[nnx.GraphDef, tuple[nnx.State]]:
  magnifier = Magnifier(rngs=nnx.Rngs(0))
  load_magnifier(magnifier, "pretrained")
  graph, state = nnx.split(magnifier)
  return graph, (state,)


def shipped() -> Networks:
  """The networks whose weights ship with this package.

  Raises:
    UserError: none ship with this version, or the file is damaged.
  """
  if not SHIPPED.is_file():
    raise UserError(
      f"{SHIPPED}: no trained weights ship with this version; name a run of your own "
      "with --run, such as --run runs/quickstart"
    )
  return _of_packed(read_packed(SHIPPED), SHIPPED, "shipped")


def load_run(
  folder: str | Path, calibrated_by: str | Path | None = None, named: str = "--run"
) -> Networks:
  """The networks of a finished run.

  Probabilities are calibrated on what the run's networks predicted of clips that they
  never saw. One of protocol "all" has no such clips: `calibrated_by` names the run
  that does, of the same network with folds left out.

  Args:
    folder: a workdir of `python -m infusenet_jax.main`, or a file that
      `python -m infusenet_jax.predict.weights.pack` wrote.
    calibrated_by: another run's folder.
    named: the flag that named `folder`, for errors.

  Raises:
    UserError: no run is there, it is not finished, its checkpoints are damaged, or it
      is of another architecture.
  """
  path = Path(folder)
  if path.is_file():
    return _of_packed(read_packed(path), path, "run")
  run = open_run(path, named)
  network = _build(run.config, path / CONFIG)
  weights = tuple(state.weights for state in run.states(network))
  twin = run
  if calibrated_by is not None:
    twin = open_run(calibrated_by, "--calibration-run")
    check_twin(run, twin)
  calibration = twin.predictions and fit_predictions(twin.predictions)
  made = records_made(run.config)
  return Networks(
    config=run.config,
    network=network,
    members=run.members,
    weights=tuple((own, network.rotate(own)) for own in weights),
    made=made,
    calibration=calibration,
    card=run_card(run, made, twin if calibration else None),
  )


def _of_packed(packed: Packed, path: Path, source: str) -> Networks:
  network = _build(packed.config, path)
  weights = packed.weights(network, path)
  return Networks(
    config=packed.config,
    network=network,
    members=packed.members,
    weights=tuple((own, network.rotate(own)) for own in weights),
    made=packed.made,
    calibration=packed.calibration,
    card=packed.card | {"source": source},
  )


def _build(config: ConfigDict, path: Path) -> Network:
  """The network of a config that was read from `path`."""
  try:
    check_config(config)
    return build_network(config, device_mesh(1, fold=-1, data=1))
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    reason = " ".join(str(error).split())
    raise UserError(
      f"{path}: written by another version ({reason}); train it again"
    ) from error
