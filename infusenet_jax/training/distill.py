"""Trains a student on flow alone with what a finished run says of the same clips.

Latent-space feature distillation, fold by fold. The loss of a student is

    the loss of its config + kl T^2 KL(teacher || student) + features E

with `kl`, `temperature` (T) and `features` of `config.distill`; `binary_kl` and
`feature_error` have the two terms.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate.protocol import Fold
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.run_files import results_exist
from infusenet_jax.training.engine.config import check_config
from infusenet_jax.training.engine.losses import (
  LOSSES,
  Objective,
  loss_name,
  make_objective,
  masked_mean,
  weighted_mean,
)
from infusenet_jax.training.engine.steps import Batch, magnified_latents
from infusenet_jax.training.run import Load, train_and_evaluate
from infusenet_jax.training.teacher import FEATURES, LOGITS, SHARES, Teacher

STUDENTS = ("flow_branch", "resnet18")
_EPSILON = 1e-5  # Beside a variance, as in batch normalisation.


def run(
  config: ConfigDict, workdir: str | Path, load: Load | None = None
) -> str | None:
  """Trains and tests the students of all folds and seeds, and writes the tables.

  Args:
    config: of task "distill".
    workdir: folder of the students' run.
    load: as in `train_and_evaluate`.

  Returns:
    The tables as text; None in all processes but the first.

  Raises:
    UserError: the teacher does not fit, or what `train_and_evaluate` raises.
  """
  check_student(config)
  objective, folder = None, Path(workdir)
  if not results_exist(folder):  # Else nothing is learned any more.
    objective = taught(config, Teacher(config, folder))
  results = train_and_evaluate(config, workdir, load, objective)
  return results and results.text()


def check_student(config: ConfigDict) -> None:
  """Refuses values that no student can have.

  Raises:
    UserError: naming the field, what it holds and what it may hold.
  """
  check_config(config)
  if config.model.name not in STUDENTS:
    raise UserError(
      f"config.model.name is {config.model.name!r}, but a student sees flow alone and "
      f"has pooled features; expected one of {', '.join(STUDENTS)}"
    )
  if config.protocol == "all":
    raise UserError(
      "config.protocol is 'all'; expected 'cd6me' or 'loso': a student is tested on "
      "what its teacher never saw"
    )
  how = config.distill
  for name, found in (("kl", how.kl), ("features", how.features)):
    if found < 0:
      raise UserError(f"config.distill.{name} is {found}; expected 0 or more")
  if how.temperature <= 0:
    raise UserError(
      f"config.distill.temperature is {how.temperature}; expected a number above 0"
    )


def taught(config: ConfigDict, teacher: Teacher) -> Objective:
  """What a student minimises, and what its teacher tells it of each clip.

  Faces that are mirrored in training are compared with what the teacher says of them
  as they are: AUs are the same in a mirror.
  """
  own, per_au = make_objective(config), LOSSES[loss_name(config)]
  how = config.distill
  shapes = dict(own.shapes)
  if how.kl:
    shapes[LOGITS] = (len(AUS),)
  if how.features:
    shapes[FEATURES] = shapes[SHARES] = (teacher.width,)

  def arrays(fold: Fold, clips: Clips) -> dict[str, np.ndarray]:
    told = own.arrays(fold, clips)
    if how.kl or how.features:
      told = told | teacher(fold, clips)
    return {name: told[name] for name in shapes}

  def loss(model: Classifier, batch: Batch) -> jax.Array:
    flow = batch["flow"].astype(jnp.float32)
    (features,) = model.pooled_features(flow, magnified_latents(model, batch))
    logits = model.head(features)
    terms = [masked_mean(per_au, logits, batch)]
    if how.kl:
      terms.append(how.kl * masked_mean(binary_kl(how.temperature), logits, batch))
    if how.features:
      terms.append(how.features * feature_error(features, batch))
    return sum(terms)

  return Objective(loss, arrays, shapes)


def binary_kl(temperature: float) -> Callable[..., jax.Array]:
  """Makes T^2 KL(p || q) of the two outcomes of each AU, (B, 12) from logits (B, 12).

      p = sigmoid(teacher's logit / T),    q = sigmoid(student's logit / T)

  A softmax over AUs would not do: a clip shows several or none (Yang et al., ICCV
  2023). T^2 keeps the gradient as large at any temperature (Hinton et al. 2015).
  """
  log, sigmoid = jax.nn.log_sigmoid, jax.nn.sigmoid

  def kl(logits: jax.Array, labels: jax.Array, batch: Batch) -> jax.Array:
    theirs = batch[LOGITS].astype(logits.dtype) / temperature
    ours = logits / temperature
    shown = sigmoid(theirs) * (log(theirs) - log(ours))
    lacking = sigmoid(-theirs) * (log(-theirs) - log(-ours))
    return temperature**2 * (shown + lacking)

  return kl


def feature_error(features: jax.Array, batch: Batch) -> jax.Array:
  """Computes the mean squared error of standardised pooled features.

  The student's first C features, standardised over the batch as batch normalisation
  does it, stand for the C principal components of the teacher's. Each counts by its
  share of the teacher's variance. So this is the mean squared error of the teacher's
  standardised features, put together from the student's, up to what C components lack.

  Args:
    features: of the student, (B, D), D >= C.
    batch: `FEATURES` (B, C), of mean 0 and variance 1 over the fold's training clips;
      `SHARES` (B, C), the same for every clip; `weights` (B,).
  """
  theirs = batch[FEATURES]
  ours = features[:, : theirs.shape[1]].astype(theirs.dtype)
  ours = (ours - ours.mean(0)) / jnp.sqrt(ours.var(0) + _EPSILON)
  each = (batch[SHARES] * (ours - theirs) ** 2).sum(-1)
  return weighted_mean(each, batch["weights"])
