"""The baseline without a network: support vector machines on flow, one for each AU.

Varanka, Li, Peng and Zhao, "Data Leakage and Evaluation Issues in Micro-Expression
Analysis" (TAFFC 2023): scikit-learn's SVC with C = 28 on flow at 32 px. It is trained
on the same records and folds as the networks and scored by the same tables.
"""

import logging
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate.predictions import Predictions, write_predictions
from infusenet_jax.evaluate.protocol import Fold, folds
from infusenet_jax.runtime.devices import is_main
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.run_files import PREDICTIONS, results_exist
from infusenet_jax.runtime.workdir import claim, keep_config
from infusenet_jax.training.engine.config import fold_names
from infusenet_jax.training.engine.experiment import make_job
from infusenet_jax.training.results import Results, read_finished, write_results
from infusenet_jax.training.run import load_records
from infusenet_jax.training.simulated import say_if_simulated

_log = logging.getLogger(__name__)


def run(config: ConfigDict, workdir: str | Path) -> str | None:
  """Trains and tests every fold and writes the tables; finished folds are kept.

  Args:
    config: with the task "svm".
    workdir: folder of the run.

  Returns:
    The tables as text; None in all processes but the first.

  Raises:
    UserError: scikit-learn is missing, or what `train_and_evaluate` raises.
  """
  check_config(config)
  with claim(workdir, config) as folder:
    if not is_main():
      return None
    if results_exist(folder):
      _log.info("%s holds this run, finished; here are its tables again", folder)
      return read_finished(config, folder).text()
    return train(config, folder).text()


def check_config(config: ConfigDict) -> None:
  """Refuses field values with which no run is possible, and a missing scikit-learn.

  Raises:
    UserError: the message names the field, or the package that is missing.
  """
  try:
    import sklearn  # noqa: F401
  except ImportError:
    raise UserError(
      "--config=published:svm needs scikit-learn, found none; pip install "
      "'infusenet_jax[baselines]'"
    ) from None
  if config.protocol == "all":
    raise UserError(
      "config.protocol is 'all', which keeps networks for use, but these machines are "
      "not kept; expected 'cd6me' or 'loso'"
    )
  if config.model.C <= 0:
    raise UserError(f"config.model.C is {config.model.C}; expected a number above 0")
  if config.image_size < 8:
    raise UserError(f"config.image_size is {config.image_size}; expected 8 or more")
  if len(config.seeds) != 1:
    raise UserError(
      f"config.seeds is {config.seeds!r}; expected a single one, such as 45, since the "
      "machines draw nothing at random"
    )


def train(config: ConfigDict, folder: Path) -> Results:
  """Trains the folds that are not finished, then writes the tables of all."""
  say_if_simulated(config)
  records = load_records(config)
  keep_config(folder, config, records.identity)
  clips, (seed,) = records.clips, config.seeds
  every = folds(config.protocol, clips.database, clips.subject, fold_names(config))
  for fold in tqdm(every, unit="fold"):
    path = make_job(folder, seed, fold).folder / PREDICTIONS
    if not path.exists():
      write_predictions(path, predict(clips, fold, config.model.C, seed))
  return write_results(config, folder, clips)


def predict(clips: Clips, fold: Fold, penalty: float, seed: int) -> Predictions:
  """Trains a machine per AU on a fold's training clips and predicts its test clips.

  A logit is the signed distance from the decision boundary, positive where
  scikit-learn's `predict` says 1. An AU that all training clips show gets the logit 1
  in all test clips, one that none of them shows the logit -1.
  """
  from sklearn.svm import SVC  # Needs an optional extra of the package.

  features = clips.flow.astype(np.float64).reshape(len(clips), -1)
  seen, test = features[fold.train], features[fold.test]
  logits = np.empty((len(test), clips.labels.shape[1]))
  for number, labels in enumerate(clips.labels[fold.train].T):
    if labels.min() == labels.max():
      logits[:, number] = 2.0 * labels[0] - 1
    else:
      machine = SVC(C=penalty).fit(seen, labels)
      logits[:, number] = machine.decision_function(test)
  return Predictions(
    database=clips.database[fold.test],
    subject=clips.subject[fold.test],
    clip=clips.clip[fold.test],
    fold=np.full(len(test), fold.name),
    seed=np.full(len(test), seed),
    logits=logits,
    labels=clips.labels[fold.test],
    simulated=clips.simulated,
  )
