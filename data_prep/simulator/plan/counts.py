"""Draws numbers of clips and frames, and AUs shown together, from the statistics.

`cd6me_statistics.json` holds counts and quantiles of the licensed databases' clips.
"""

import functools
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np

from infusenet_jax.clips.labels import AUS

# AUs that people show together, for `--labels balanced`; each AU is also shown alone.
PAIRS = ((1, 2), (1, 4), (2, 5), (4, 7), (4, 9), (6, 12), (6, 7), (9, 10), (10, 17),
         (12, 14), (14, 17), (15, 17), (4, 15), (1, 15), (2, 12), (5, 10))  # fmt: skip


@functools.cache
def statistics() -> dict:
  """Reads the counts and quantiles of the six databases."""
  path = Path(__file__).with_name("cd6me_statistics.json")
  return json.loads(path.read_text(encoding="utf-8"))


def known_patterns(known, count, rng) -> list[tuple[int, ...]]:
  """Returns the published label patterns, or `count` of them spread by frequency."""
  every = []
  for text, number in known["patterns"].items():
    aus = () if text == "none" else tuple(int(au) for au in text.split("+"))
    every += [aus] * number
  places = ((np.arange(count) + 0.5) * len(every) / count).astype(int)
  chosen = [every[i] for i in places]
  return [chosen[i] for i in rng.permutation(count)]


def balanced_patterns(known, count, rng) -> list[tuple[int, ...]]:
  """Draws single AUs and pairs, so that all AUs are shown about equally often."""
  choices = [(au,) for au in AUS] + list(PAIRS)
  total, chosen = Counter(), []
  for _ in range(count):
    # AUs that were drawn seldom are preferred; a pair counts by the mean of its two.
    cost = [np.mean([total[au] for au in c]) + rng.uniform(0, 0.5) for c in choices]
    chosen.append(choices[int(np.argmin(cost))])
    total.update(chosen[-1])
  return [chosen[i] for i in rng.permutation(count)]


def clips_per_subject(known: list[int], count: int) -> list[int]:
  """Returns the number of clips of each subject: as published, or of fewer subjects."""
  share = count / sum(known)
  subjects = max(min(3, len(known)), round(math.sqrt(share) * len(known)))
  subjects = min(subjects, count, len(known)) if share < 1 else len(known)
  places = ((np.arange(subjects) + 0.5) * len(known) / subjects).astype(int)
  weights = np.array([known[i] for i in places], float)
  exact = weights * count / weights.sum()
  sizes = np.maximum(np.floor(exact), 1).astype(int)
  while sizes.sum() != count:
    gap = exact - sizes
    if sizes.sum() < count:
      sizes[np.argmax(gap)] += 1
    else:
      sizes[np.argmin(np.where(sizes > 1, gap, np.inf))] -= 1
  return sizes.tolist()


def lengths(known, count, rng) -> tuple[np.ndarray, np.ndarray]:
  """Draws lengths and apex offsets, in frames, with the published quantiles.

  Longer clips tend to have later apexes.
  """
  at = (np.arange(count) + 0.5) / count

  def quantiles(table):
    knots = [table[name] for name in ("min", "p10", "p50", "p90", "max")]
    return np.floor(np.interp(at, (0, 0.1, 0.5, 0.9, 1), knots) + 0.5).astype(int)

  frames, apexes = quantiles(known["frames"]), quantiles(known["apex_offset"])
  # Shuffle apexes a little relative to lengths, then both relative to the patterns.
  apexes = apexes[np.argsort(at + rng.normal(0, 0.15, count))]
  order = rng.permutation(count)
  frames, apexes = frames[order], apexes[order]
  return np.maximum(frames, apexes + 2), apexes
