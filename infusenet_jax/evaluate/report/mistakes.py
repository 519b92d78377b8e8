"""Chooses the wrong decisions that the report shows: those of which it was surest."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from infusenet_jax.clips.labels import AUS, database_name
from infusenet_jax.evaluate.calibration import sigmoid
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.report.clips import (
  Face,
  Pictures,
  Verdict,
  draw_face,
  verdict,
)

# How many are shown of all, of one AU, of one database, and of one AU in one database.
# The first ones come out even in rows of 6, 4, 3 and 2.
MOST = {"all": 24, "au": 6, "database": 6, "both": 2}


class Mistake(NamedTuple):
  """A wrong decision about one AU of a clip.

  key: of the clip's database.
  sure: how sure the model was of what it said, in percent, above 50.
  shown: the AUs that the clip truly shows.
  among: the views among whose surest it is, keys of `MOST`.
  face: the clip's onset and apex; None where there are no pictures.
  """

  database: str
  key: str
  subject: str
  clip: str
  verdict: Verdict
  sure: float
  shown: list[int]
  among: list[str]
  face: Face | None


def mistakes(
  one: Predictions, pictures: Pictures | None = None
) -> tuple[int, list[Mistake]]:
  """Counts the wrong decisions and lists the surest of each view, surest first.

  How sure is sigmoid(|logit|): the probability that the model gave to what it said.

  Args:
    one: a single prediction of each clip.
    pictures: of the clips, if there are any.
  """
  faces = pictures.faces if pictures else {}
  wrong = (one.logits > 0) != (one.labels > 0)
  clips, aus = np.nonzero(wrong)
  order = np.argsort(-np.abs(one.logits[clips, aus]), kind="stable")
  ranks, listed = Counter(), []
  for clip, au in zip(clips[order], aus[order], strict=True):
    key = str(one.database[clip])
    places = {"all": (), "au": (au,), "database": (key,), "both": (au, key)}
    among = [view for view, at in places.items() if ranks[view, at] < MOST[view]]
    ranks.update((view, at) for view, at in places.items())
    if not among:
      continue
    name = (key, str(one.subject[clip]), str(one.clip[clip]))
    labels, logit = one.labels[clip], one.logits[clip, au]
    listed.append(
      Mistake(
        database_name(key),
        *name,
        verdict(AUS[au], labels[au], logit),
        100 * float(sigmoid(abs(logit))),
        [number for number, label in zip(AUS, labels, strict=True) if label],
        among,
        draw_face(*faces[name]) if name in faces else None,
      )
    )
  return len(clips), listed


def without(listed: list[Mistake], databases: tuple[str, ...]) -> list[tuple[str, str]]:
  """Which choices of AU and database hold no mistake: [("4" or "all", key or "all")].

  Args:
    listed: from `mistakes`.
    databases: keys of those that may be chosen.
  """
  held = {(str(m.verdict.au), m.key) for m in listed}
  held |= {("all", key) for _, key in held} | {(au, "all") for au, _ in held}
  held |= {("all", "all")} if held else set()
  return [
    (au, key)
    for au in ("all", *map(str, AUS))
    for key in ("all", *databases)
    if (au, key) not in held
  ]
