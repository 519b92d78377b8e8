"""Losses of multi-label classification, and what each must know of a fold's clips.

A rare AU is shown by a few clips in a hundred. Trained by plain cross-entropy, a
network then says "no" nearly always. The losses other than `bce` know the prior of each
AU, the share of a fold's training clips that show it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate.protocol import Fold
from infusenet_jax.models.classifier import Classifier
from infusenet_jax.training.engine.steps import Batch, Loss, logits

FOCUS = 2  # Exponent of the focal loss.

# From logits, labels and the batch, (B, 12) float32 each but the last, to a loss of
# each clip and AU, (B, 12).
LossPerAU = Callable[[jax.Array, jax.Array, Batch], jax.Array]


@dataclass(frozen=True)
class Objective:
  """What a task minimises, and what it is told of each clip beside what networks see.

  Attributes:
    loss: from a network in training mode and a batch to a number.
    arrays: (fold, clips) -> arrays (N, ...) by name, one row per clip. They come from
      the fold's training clips alone, and their rows join the fold's batches.
    shapes: of a row of each of `arrays`, all float32.
  """

  loss: Loss
  arrays: Callable[[Fold, Clips], Mapping[str, np.ndarray]]
  shapes: Mapping[str, tuple[int, ...]]

  def stand_in(self, count: int) -> dict[str, np.ndarray]:
    """Halves in the place of `arrays`, for steps of `count` clips that are timed."""
    return {
      name: np.full((count, *shape), 0.5, np.float32)
      for name, shape in self.shapes.items()
    }


def make_objective(config: ConfigDict) -> Objective:
  """The loss that `config.train.loss` names, summed over the heads of the network."""
  name = loss_name(config)
  loss = heads_loss(LOSSES[name])
  if name == "bce":
    return Objective(loss, lambda fold, clips: {}, {})
  return Objective(loss, _prior_rows, {"prior": (len(AUS),)})


def loss_name(config: ConfigDict) -> str:
  """`config.train.loss`; "bce" in configs from before that field was there."""
  return config.train.get("loss", "bce")


def heads_loss(per_au: LossPerAU) -> Loss:
  """Makes the sum over all heads of `masked_mean` of a loss."""

  def loss(model: Classifier, batch: Batch) -> jax.Array:
    return sum(masked_mean(per_au, head, batch) for head in logits(model, batch))

  return loss


def masked_mean(per_au: LossPerAU, logits: jax.Array, batch: Batch) -> jax.Array:
  """Computes the mean of a loss over AUs and, by the batch's weights, over clips.

  Args:
    per_au: the loss.
    logits: (B, 12), of one head.
    batch: `labels` (B, 12), `weights` (B,), and what else the loss looks at.
  """
  logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
  each = per_au(logits, batch["labels"].astype(logits.dtype), batch).mean(-1)
  return weighted_mean(each, batch["weights"])


def weighted_mean(each: jax.Array, weights: jax.Array) -> jax.Array:
  """Computes the mean of (B,) by weights (B,); 0 where all of them are 0."""
  return (each * weights).sum() / jnp.maximum(weights.sum(), 1e-6)


def bce(logits: jax.Array, labels: jax.Array, batch: Batch) -> jax.Array:
  """Binary cross-entropy, CD6ME's loss.

  -y log p - (1 - y) log(1 - p),    p = sigmoid(z)
  """
  return optax.sigmoid_binary_cross_entropy(logits, labels)


def focal(logits: jax.Array, labels: jax.Array, batch: Batch) -> jax.Array:
  """Focal loss (Lin et al., ICCV 2017), balanced by the prior pi of each AU.

      -(1 - pi) y (1 - p)^2 log p - pi (1 - y) p^2 log(1 - p)

  A clip that is decided well counts little. Over the training clips, the positives of
  an AU weigh as much as its negatives: n pi (1 - pi) either way. The sum is smaller
  than that of `bce` by far, so that `config.train.l2`, which is added to the gradient,
  is stronger beside it.
  """
  prior = batch["prior"].astype(logits.dtype)
  no, yes = jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits)
  positive = (1 - prior) * no**FOCUS * jax.nn.log_sigmoid(logits)
  negative = prior * yes**FOCUS * jax.nn.log_sigmoid(-logits)
  return -(labels * positive + (1 - labels) * negative)


def logit_adjusted(logits: jax.Array, labels: jax.Array, batch: Batch) -> jax.Array:
  """Cross-entropy of adjusted logits (Menon et al., ICLR 2021), in multi-label form.

      bce(z + log(pi / (1 - pi)), y)

  In training the prior pi of each AU stands in for what the network would learn of it.
  In tests the logit z is taken as it is: above 0 where a clip shows the AU more likely
  than clips do on average, which minimises the balanced error.
  """
  prior = batch["prior"].astype(logits.dtype)
  return bce(logits + jnp.log(prior) - jnp.log1p(-prior), labels, batch)


# By `config.train.loss`.
LOSSES = {"bce": bce, "focal": focal, "logit_adjusted": logit_adjusted}


def priors(labels: np.ndarray) -> np.ndarray:
  """The share of clips that show each AU, above 0 and below 1.

  An AU that none of them shows counts as shown by half a clip, one that all show as
  lacking in half a clip.

  Args:
    labels: (N, 12), 0 or 1, of at least one clip.

  Returns:
    (12,) float32.
  """
  count = len(labels)
  shown = np.clip(np.asarray(labels, np.float64).sum(0), 0.5, count - 0.5)
  return (shown / count).astype(np.float32)


def _prior_rows(fold: Fold, clips: Clips) -> dict[str, np.ndarray]:
  """The same priors for every clip (N, 12), so that batches carry those of their fold.

  Folds side by side share a compiled step, and the labels of a fold's test clips must
  not be in what it is told.
  """
  own = priors(clips.labels[fold.train])
  return {"prior": np.broadcast_to(own, (len(clips), len(own)))}
