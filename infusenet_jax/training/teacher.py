"""What the networks of a finished run say of the clips that another is trained on.

The teacher of a fold is made of the run's networks that left out the same database:
they saw this fold's training clips and no other.
"""

import functools
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict
from tqdm import tqdm

from infusenet_jax.clips.records import Clips, load_clips
from infusenet_jax.evaluate.protocol import Fold
from infusenet_jax.evaluate.run import fingerprints
from infusenet_jax.runtime.devices import (
  device_mesh,
  even_batch,
  is_main,
  over_batch,
  replicated,
  wait_for_all,
)
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import read_arrays, write_atomically
from infusenet_jax.runtime.run_files import CONFIG, PREDICTIONS, left_out
from infusenet_jax.training.engine.config import POOLED, fits_thresholds, fold_names
from infusenet_jax.training.engine.experiment import (
  Experiment,
  blank_state,
  make_experiment,
)
from infusenet_jax.training.engine.network import build_network, decide
from infusenet_jax.training.engine.schedule import sequential_batches
from infusenet_jax.training.engine.steps import magnified_latents
from infusenet_jax.training.simulated import records_folder
from infusenet_jax.training.trained import TrainedRun, open_run, restore

FOLDER = "teacher"  # In the workdir of those that learn.
LOGITS, FEATURES, SHARES = "teacher_logits", "teacher_features", "teacher_shares"


class Teacher:
  """The run that `config.teacher` names, asked fold by fold.

  What it says is computed once per fold and kept in the student's workdir.

  Args:
    config: of the student.
    workdir: of the student.

  Raises:
    UserError: no finished run of networks is there, or one of other AUs or folds, or
      one that cannot teach a student of `config`.

  Attributes:
    run: the teacher's.
    width: C, how many features of the student are taught.
  """

  def __init__(self, config: ConfigDict, workdir: Path):
    self.run = _open(config)
    self._config, self._workdir = config, workdir
    theirs = len(self.run.config.seeds) * _pooled_width(self.run.config)
    self.width = min(theirs, _pooled_width(config))

  def __call__(self, fold: Fold, clips: Clips) -> dict[str, np.ndarray]:
    """What it says of each clip (N, ...), by name; NaN for clips not trained on.

    Raises:
      UserError: the teacher was trained on other records or has no such fold, or has
        changed since this run began.
    """
    path = self._workdir / FOLDER / f"{fold.name.replace('/', '-')}.npz"
    there = path.exists()
    wait_for_all("whether the teacher was asked is known")
    if not there:
      said = self.ask(fold, clips)
      if is_main():
        file = io.BytesIO()
        np.savez_compressed(file, digest=np.array(self._digest), **said)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, file.getvalue())
      wait_for_all("what the teacher says is written")
    # Read even where it was just computed: all processes learn the same, to the bit.
    return self._read(path, fold, len(clips))

  def _read(self, path: Path, fold: Fold, count: int) -> dict[str, np.ndarray]:
    again = f"delete {path} to ask the teacher again"
    try:
      found = read_arrays(path)
      if str(found["digest"]) != self._digest:
        raise UserError(
          f"{path}: is of another teacher than config.teacher={self._config.teacher} "
          "is now; put that run back, or name another --workdir"
        )
      rows = {}
      for name in (LOGITS, FEATURES):
        rows[name] = np.full((count, found[name].shape[1]), np.nan, np.float32)
        rows[name][fold.train] = found[name]
      shares = found[SHARES]
      return rows | {SHARES: np.broadcast_to(shares, (count, len(shares)))}
    except (KeyError, IndexError, OSError, ValueError) as error:
      raise UserError(f"{path}: cannot be read ({error}); {again}") from error

  def ask(self, fold: Fold, clips: Clips) -> dict[str, np.ndarray]:
    """Asks the fold's networks of all seeds about its M training clips.

    Returns:
      The mean logits `LOGITS` (M, 12); the principal components `FEATURES` (M, C) of
      the features of all seeds, and their `SHARES` (C,); see `principal_components`.
    """
    self._check(fold)
    experiment = self._experiment(clips)
    network, config = experiment.network, experiment.config
    look = make_look(network.graph, network.mesh, config.decide_by)
    like, size = blank_state(network), even_batch(config.train.batch_size, network.mesh)
    features, logits = [], []
    for seed in config.seeds:
      state = restore(self.run.workdir, seed, fold.name, like)
      rotations, parts = network.rotate(state.weights), []
      batches = list(sequential_batches(np.flatnonzero(fold.train), size))
      what = f"asking the teacher of {fold.name}, seed {seed}"
      for numbers, count in tqdm(batches, desc=what, delay=3, leave=False):
        batch = experiment.inputs.take(numbers)
        found = look(state.weights, rotations, batch)
        parts.append([np.asarray(x)[:count] for x in found])
      for whole, part in zip((features, logits), zip(*parts, strict=True), strict=True):
        whole.append(np.concatenate(part))
    components, shares = principal_components(np.concatenate(features, 1), self.width)
    mean = np.mean(logits, axis=0, dtype=np.float64).astype(np.float32)
    return {LOGITS: mean, FEATURES: components, SHARES: shares}

  def _check(self, fold: Fold) -> None:
    if len(left_out(fold.name)) == 1:  # Pairs are no members of a run.
      _check_fold(self.run, fold.name)
    theirs, ours = fingerprints(self.run.workdir), fingerprints(self._workdir)
    if theirs != ours:
      keys = sorted(theirs.keys() | ours.keys())
      changed = [key for key in keys if theirs.get(key) != ours.get(key)]
      raise UserError(
        f"config.teacher={self._config.teacher}: was trained on other records of "
        f"{', '.join(changed)}, so that its folds hold other clips; expected those "
        "that the student is trained on"
      )

  @functools.cached_property
  def _digest(self) -> str:
    """Changes with the teacher's config and with what it was trained to."""
    files = [self.run.workdir / name for name in (CONFIG, PREDICTIONS)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()

  def _experiment(self, clips: Clips) -> Experiment:
    if self._asked is None:
      config = self.run.config
      if config.image_size != self._config.image_size:
        clips = load_clips(records_folder(self._config), config.image_size)
      network = build_network(config, device_mesh(1, fold=-1, data=1))
      self._asked = make_experiment(config, network, clips)
    return self._asked

  _asked: Experiment | None = None  # Of all clips, made where it is needed.


def _open(config: ConfigDict) -> TrainedRun:
  if not config.teacher:
    raise UserError(
      "config.teacher is empty; expected the workdir of a finished run of InfuseNet, "
      "such as --config.teacher=runs/quickstart"
    )
  run = open_run(config.teacher, "--config.teacher")
  theirs, name = run.config, f"config.teacher={config.teacher}"
  if theirs.model.name not in POOLED:
    raise UserError(
      f"{name}: is a run of {theirs.model.name}, which has no pooled features; "
      f"expected one of {', '.join(POOLED)}"
    )
  if not theirs.train.epochs:
    raise UserError(
      f"{name}: tested a file of weights (config.train.epochs is 0), which may have "
      "seen any database; expected a run that was trained fold by fold"
    )
  if theirs.protocol != config.protocol:
    raise UserError(
      f"{name}: its folds are of protocol {theirs.protocol!r}; expected "
      f"{config.protocol!r}, as config.protocol has it"
    )
  if fits_thresholds(config) and not fits_thresholds(theirs):
    raise UserError(
      f"{name}: has no networks that leave two databases out, as students need them "
      "for thresholds; expected a teacher of config.decide_at='fitted', or take '0'"
    )
  if config.protocol == "cd6me":
    for fold in fold_names(config) or ():
      _check_fold(run, fold)
  return run


def _check_fold(run: TrainedRun, fold: str) -> None:
  if missing := [s for s in run.config.seeds if (s, fold) not in run.members]:
    held = ", ".join(dict.fromkeys(name for _, name in run.members))
    raise UserError(
      f"config.teacher={run.workdir}: has no fold {fold} of seed {missing[0]} (its "
      f"folds: {held}); networks of other folds have seen what this one leaves out, so "
      "train the teacher with all folds of the student"
    )


def _pooled_width(config: ConfigDict) -> int:
  """How many features the head of a network in `POOLED` sees."""
  return {"concatenated": 16}.get(config.model.name, 8) * config.model.width


def make_look(graph: nnx.GraphDef, mesh: Mesh, decide_by: str) -> Callable:
  """Compiles (weights, rotations, batch) -> features (B, D) and logits (B, 12).

  Where the mean of all heads decides, so does the head of their features' mean: it is
  linear, and the same for all. Both are float32.
  """

  def look(weights, rotations, batch):
    model = nnx.merge(graph, *weights)
    model.eval()
    flow, latents = batch["flow"].astype(jnp.float32), magnified_latents(model, batch)
    heads = model.pooled_features(flow, latents, rotations=rotations)
    features = decide(heads, model.head_names, decide_by)
    return features.astype(jnp.float32), model.head(features).astype(jnp.float32)

  whole, split = replicated(mesh), over_batch(mesh)
  return jax.jit(look, in_shardings=(whole, whole, split), out_shardings=whole)


def principal_components(
  features: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
  """Finds the principal components of standardised features.

  The features of several seeds are in no common order, so that a mean of them would
  mean nothing. The components of all together are what they agree on.

  Args:
    features: (M, P) of M clips; those that do not vary are left out.
    count: C, how many components; those beyond what there are get the share 0.

  Returns:
    (M, C) float32 of mean 0 and variance 1, the largest first, the largest value of
    each positive; and (C,) float32: which share of the variance of all features each
    has, at most 1 in all.
  """
  x = np.asarray(features, np.float64)
  deviation = x.std(0)
  varies = deviation > 1e-6 * max(deviation.max(), 1e-30)
  x = (x[:, varies] - x[:, varies].mean(0)) / deviation[varies]
  found, shares = np.zeros((len(x), count)), np.zeros(count)
  if varies.any():
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    kept = min(count, len(s))
    u, power = u[:, :kept], s**2 / (s**2).sum()
    u *= np.sign(u[np.abs(u).argmax(0), np.arange(kept)])
    found[:, :kept], shares[:kept] = u * len(x) ** 0.5, power[:kept]
  return found.astype(np.float32), shares.astype(np.float32)
