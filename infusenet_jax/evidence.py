"""Where a network looks, as maps over the crop, and where the face truly moved.

Truth is known of simulated databases alone: `python -m data_prep build` puts it beside
their records.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from infusenet_jax.data import FRAMES, Clips, prepared_databases
from infusenet_jax.engine import classify, scale_frame
from infusenet_jax.errors import UserError
from infusenet_jax.models.infusion import NoInfusion
from infusenet_jax.parallel import over_batch, replicated

GRID = 56  # Cells of a map along each side of the crop.
TRUTH = "truth.npz"

# The mean head of the simulator: half its width, its crown and its chin, in distances
# between the pupils. Their midpoint lies there in every crop, that far apart.
_HEAD = (1.11, -1.72, 1.84)
_EYES, _EYES_APART = (0.5, 0.38), 0.35


@functools.lru_cache
def make_evidence(
  graph: nnx.GraphDef, mesh: Mesh, decide_by: str
) -> Callable[..., dict[str, jax.Array]]:
  """Compiles the maps of a model, (B, GRID, GRID) float32, not negative.

  The compiled function takes (params, frozen, rest, rotations, batch, chosen). With s
  the sum over AUs of chosen (B, 12) times the logits that decide, it returns
  "flow saliency" and "magnified saliency", the sum over channels of |ds/dx| for the
  flow and for what the magnified branch sees; "magnified input", of |x|; and of an
  InfuseNet, for each infused stage k, "feature k", the sum over channels of the
  infused |features|, and "gate k", the mean of its gate. Smaller maps are interpolated.

  A published gate, which depends on the batch, mixes the clips of a batch a little.
  """

  def maps(params, frozen, rest, rotations, batch, chosen):
    model = nnx.merge(graph, params, frozen, rest)
    model.eval()
    seen = {"flow": batch["flow"].astype(jnp.float32)}
    if "latents" in batch:
      seen["latents"] = batch["latents"].astype(jnp.float32)
    elif "onset" in batch:
      frames = (scale_frame(batch[name]) for name in FRAMES)
      seen["latents"] = model.magnified_latents(*frames).astype(jnp.float32)

    def score(seen):
      heads = classify(model, seen, rotations)
      return (chosen * _deciding(heads, decide_by)).sum()

    slopes = jax.grad(score)(seen)
    found = {"flow saliency": jnp.abs(slopes["flow"]).sum(-1)}
    if "latents" in seen:
      found["magnified saliency"] = jnp.abs(slopes["latents"]).sum(-1)
      found["magnified input"] = jnp.abs(seen["latents"]).sum(-1)
    if hasattr(model, "stage_features"):
      stages = model.stage_features(**seen, rotations=rotations)
      for number, (_, gate, feature) in enumerate(stages, 1):
        if not isinstance(model.infusions[number - 1], NoInfusion):
          found[f"feature {number}"] = jnp.abs(feature).sum(-1)
          found[f"gate {number}"] = gate.mean(-1)
    return {name: _to_grid(x) for name, x in found.items()}

  whole, split = replicated(mesh), over_batch(mesh)
  in_shardings = (whole, whole, whole, whole, split, split)
  return jax.jit(maps, in_shardings=in_shardings, out_shardings=whole)


def _deciding(heads: tuple[jax.Array, ...], decide_by: str) -> jax.Array:
  """The logits that decide, as in `fold.predict`."""
  if decide_by == "both" or len(heads) == 1:
    return sum(heads) / len(heads)
  return heads[("flow", "magnified").index(decide_by)]


def _to_grid(x: jax.Array) -> jax.Array:
  return jax.image.resize(x.astype(jnp.float32), (len(x), GRID, GRID), "linear")


def share_inside(evidence: np.ndarray, region: np.ndarray) -> np.ndarray:
  """Share of each map's sum inside its region, (N,) in [0, 1]; NaN of an empty map.

  Args:
    evidence: (N, H, W), not negative.
    region: (N, H, W) in [0, 1], how much of each cell belongs to it.
  """
  evidence = np.asarray(evidence, np.float64)
  total = evidence.sum((1, 2))
  inside = (evidence * region).sum((1, 2))
  return np.divide(inside, total, out=np.full(len(total), np.nan), where=total > 0)


def face(grid: int = GRID) -> np.ndarray:
  """The part of a crop that shows the face, (grid, grid) of 0 and 1: an ellipse."""
  width, crown, chin = (_EYES_APART * part for part in _HEAD)
  place = (np.arange(grid) + 0.5) / grid
  x = (place - _EYES[0]) / width
  y = (place - _EYES[1] - (crown + chin) / 2) / ((chin - crown) / 2)
  return (x[None] ** 2 + y[:, None] ** 2 <= 1).astype(np.float32)


def read_truth(data_dir: str | Path, clips: Clips) -> np.ndarray:
  """Where each clip's face truly moved, (N, GRID, GRID) float32 in [0, 1].

  Raises:
    UserError: the records hold no truth, or not that of every clip.
  """
  known = {}
  for key, folder in prepared_databases(data_dir).items():
    path = folder / TRUTH
    try:
      with np.load(path) as truth:
        moving = truth["moving"].astype(np.float32) / 255
        names = zip(truth["subject"].tolist(), truth["clip"].tolist(), strict=True)
        known |= {(key, *name): mask for name, mask in zip(names, moving, strict=True)}
    except (OSError, KeyError, ValueError) as error:
      raise UserError(
        f"{path}: where the faces truly moved cannot be read ({_reason(error)}); only "
        "simulated databases know it: if these are, delete the folder and run `python "
        "-m data_prep build` again"
      ) from error
  names = zip(clips.database, clips.subject, clips.clip, strict=True)
  try:
    return np.stack([known[tuple(map(str, name))] for name in names])
  except KeyError as error:
    raise UserError(
      f"{data_dir}: {TRUTH} lacks clip {'/'.join(error.args[0])}; delete its records "
      "and run `python -m data_prep build` again"
    ) from error


def _reason(error: Exception) -> str:
  return getattr(error, "strerror", None) or str(error)
