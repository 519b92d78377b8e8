"""Opens trained runs again and measures each fold on the database that it left out."""

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from infusenet_jax.artefacts.truth import face, share_inside
from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.prepared import (
  head_of,
  prepared_databases,
  read_metadata,
)
from infusenet_jax.clips.records import Clips
from infusenet_jax.clips.schema import GRID, UNSAID
from infusenet_jax.evaluate.predictions import Predictions, concatenate
from infusenet_jax.evaluate.protocol import folds
from infusenet_jax.runtime.devices import device_mesh, even_batch
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.run_files import CONFIG, PREDICTIONS
from infusenet_jax.training.engine.config import fold_names
from infusenet_jax.training.engine.experiment import (
  Experiment,
  Job,
  make_experiment,
  make_job,
)
from infusenet_jax.training.engine.inputs import (
  put_batch,
)
from infusenet_jax.training.engine.network import Network, build_network
from infusenet_jax.training.engine.saliency import make_saliency
from infusenet_jax.training.engine.schedule import sequential_batches
from infusenet_jax.training.engine.steps import TrainState
from infusenet_jax.training.simulated import difficulty_flags
from infusenet_jax.training.trained import open_run, restore


class Look(NamedTuple):
  """Where a network looked when it scored one AU that a clip shows.

  database, subject, clip: the clip, named as in the predictions.
  seed: of the network's run.
  au: the AU's number in FACS, one of `labels.AUS`.
  region: the area of the face that truly moved, as a share of the face's, in (0, 1].
  shares: {map: the share of its sum that lies inside that region, in [0, 1]}, NaN where
    the map is 0 everywhere. The maps are those of `engine.saliency` but for the gates,
    "flow input", the length of the flow, and "crop", which is 1 everywhere: what chance
    gets.
  """

  database: str
  subject: str
  clip: str
  seed: int
  au: int
  region: float
  shares: dict[str, float]


class Run:
  """A finished run, whose networks can be measured on other clips.

  The network is compiled once, whatever is measured.

  Attributes:
    name: of the run, for tables and figures.
    workdir: the run's folder.
    config: of the run.
  """

  def __init__(self, workdir: Path):
    """Reads the run's config.

    Args:
      workdir: the folder that `python -m infusenet_jax.main` trained in.

    Raises:
      UserError: no finished run is there, or one that left no database out.
    """
    run = open_run(workdir, "--workdirs")
    if run.predictions is None:
      raise UserError(
        f"{workdir}: was trained on every clip (config.protocol='all'), so there is no "
        "database that it never saw; expected a run of protocol 'cd6me'"
      )
    self.name, self.workdir, self.config = run.name, workdir, run.config

  @property
  def digest(self) -> str:
    """The SHA-256 of config and predictions, by which a result is kept for a run."""
    files = (self.workdir / CONFIG, self.workdir / PREDICTIONS)
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()

  def trained_on(self) -> dict[str, Any]:
    """Finds how the simulated databases were made that the run was trained on.

    Returns:
      {"scale", "seed", "labels", "size"}: as config.simulated has them, and the side of
      the records in pixels.

    One that is harder than the plain one has in addition the flags of its `difficulty`,
    and records without the head's own motion `head`.

    Raises:
      UserError: the run was not trained on simulated databases, their nuisance
        (lighting, head motion, noise) was not 1, or its records are gone.
    """
    config = self.config
    if not config.data_dir:
      source = config.simulated.to_dict() | {"size": config.record_size}
      head = head_of(config.simulated)
    else:
      folder = next(iter(prepared_databases(config.data_dir).values()), None)
      if folder is None:
        raise UserError(
          f"{config.data_dir}: the records that {self.workdir} was trained on are gone"
        )
      metadata = read_metadata(folder)
      source = metadata["source"] | {"size": metadata["size"]}
      head = metadata["head"]
    try:
      nuisance = source["nuisance"]
      found = {name: source[name] for name in ("scale", "seed", "labels", "size")}
    except KeyError as error:
      raise UserError(
        f"{self.workdir}: was not trained on simulated databases, which alone know "
        "where faces truly moved"
      ) from error
    if nuisance != 1:
      raise UserError(
        f"{self.workdir}: was trained at nuisance {nuisance:g}, expected 1, which the "
        "study compares with; train it again with --config.simulated.nuisance=1"
      )
    flags = difficulty_flags(source)
    found |= {"difficulty": flags} if flags else {}
    return found | ({} if head == UNSAID["head"] else {"head": head})

  @functools.cached_property
  def network(self) -> Network:
    """The run's network, which is built and compiled when it is first asked for.

    Raises:
      UserError: the config is one of another version of this package.
    """
    try:
      mesh = device_mesh(self.config.train.batch_size, fold=-1, data=1)
      return build_network(self.config, mesh)
    except (AttributeError, KeyError) as error:
      raise UserError(
        f"{self.workdir / CONFIG}: written by another version ({error}); train it again"
      ) from error

  def measure(
    self, clips: Clips, truth: np.ndarray | None
  ) -> tuple[Predictions, list[Look]]:
    """Predicts clips with the networks that never saw their database.

    Args:
      clips: N clips of the databases that the run's folds left out.
      truth: (N, GRID, GRID), where each face truly moved, from `read_truth`; None to
        predict without looking where the networks look.

    Returns:
      The predictions of all seeds, and a `Look` for every AU that a clip shows and each
      seed; none without `truth`.

    Raises:
      UserError: a fold's checkpoint is missing or damaged.
    """
    experiment = make_experiment(self.config, self.network, clips)
    names = fold_names(self.config)
    every = folds(self.config.protocol, clips.database, clips.subject, names)
    parts, looks = [], []
    for seed in self.config.seeds:
      like = experiment.initial_state(seed)
      for fold in tqdm(every, desc=f"{self.name}, seed {seed}", delay=3, leave=False):
        job = make_job(self.workdir, seed, fold)
        state = restore(self.workdir, seed, fold.name, like)
        parts.append(experiment.predictions(job, state))
        if truth is not None:
          looks += _looks(experiment, job, state, truth)
    return concatenate(parts), looks


def _looks(
  experiment: Experiment, job: Job, state: TrainState, truth: np.ndarray
) -> Iterator[Look]:
  """A look for every AU that a test clip of the fold shows, where anything moved."""
  network, clips, skin = experiment.network, experiment.clips, face()
  config = experiment.config
  rotations = network.rotate(state.weights)
  saliency = make_saliency(network.graph, network.mesh, config.decide_by)
  region = (truth * skin).sum((1, 2)) / skin.sum()
  shown = (clips.labels > 0) & (job.fold.test & (region > 0))[:, None]
  rows, aus = np.nonzero(shown)
  batch_size = even_batch(config.train.batch_size, network.mesh)
  for pairs, count in sequential_batches(np.arange(len(rows)), batch_size):
    chosen = np.eye(len(AUS), dtype=np.float32)[aus[pairs]]
    chosen = put_batch({"chosen": chosen}, network.mesh)["chosen"]
    numbers = rows[pairs]
    batch = experiment.inputs.take(numbers)
    found = saliency(state.weights, rotations, batch, chosen)
    maps = {name: np.asarray(x) for name, x in found.items() if "gate" not in name}
    maps["crop"] = np.ones_like(maps["flow saliency"])
    maps["flow input"] = np.stack([_flow_length(clips, i) for i in numbers])
    shares = {name: share_inside(x, truth[numbers]) for name, x in maps.items()}
    for place in range(count):
      row = numbers[place]
      yield Look(
        database=str(clips.database[row]),
        subject=str(clips.subject[row]),
        clip=str(clips.clip[row]),
        seed=job.seed,
        au=AUS[aus[pairs[place]]],
        region=float(region[row]),
        shares={name: float(share[place]) for name, share in shares.items()},
      )


def _flow_length(clips: Clips, number: int) -> np.ndarray:
  length = np.linalg.norm(clips.flow_in_pixels(number), axis=-1)
  shrinks = len(length) > GRID
  way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
  return cv2.resize(length, (GRID, GRID), interpolation=way)
