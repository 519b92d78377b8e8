"""Who shows what, when: the clips of a simulated database, without any pictures.

Subjects, label patterns, clip lengths and apex offsets follow `cd6me_statistics.json`
(counts taken from the licensed databases' annotations).
"""

import dataclasses
import functools
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np

from data_prep.layouts import LAYOUTS
from data_prep.simulator.action_units import AUS, DISTRACTORS, ONE_SIDED

DATABASES = tuple(LAYOUTS)
FEWEST_CLIPS = 6  # Of a database, however small the scale.
INTENSITY = (0.3, 3.0)  # Peak motion of a clip, pixels in a 224 px crop.

# Combinations that people show, for `--labels balanced`; each AU also comes alone.
PAIRS = ((1, 2), (1, 4), (2, 5), (4, 7), (4, 9), (6, 12), (6, 7), (9, 10), (10, 17),
         (12, 14), (14, 17), (15, 17), (4, 15), (1, 15), (2, 12), (5, 10))  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Shown:
  """One action unit of a clip and its peak on the picture's left and right, pixels.

  Pixels of a 224 px crop, as everywhere in the plan.
  """

  au: int
  left: float
  right: float

  @property
  def letter(self) -> str:
    """The side as coders write it: the subject's, so mirrored; "" for both."""
    if self.left and self.right:
      return ""
    return "R" if self.left else "L"


@dataclasses.dataclass(frozen=True)
class PlannedClip:
  """Everything that is decided about a clip before it is drawn."""

  database: str
  number: int  # The subject's.
  subject: str  # As the reader names them.
  name: str
  filename: str  # As in the workbook; name differs where CAS(ME)^3 repeats it.
  seed: tuple[int, ...]
  onset: int
  apex: int  # As annotated.
  offset: int
  true_apex: int  # Where the face moves most.
  fps: float
  labels: tuple[int, ...]  # The AUs of the 12 that it shows.
  shown: tuple[Shown, ...]  # With distractors.
  unsure: tuple[int, ...]  # AUs that 4DME's coders mark (k): not positive.
  blink: float  # Peak of a blink in pixels, 0: none.
  emotion: str

  @property
  def folder_key(self) -> str:
    """Name of the clip's truth file."""
    return f"{self.subject}_{self.name}"


@functools.cache
def statistics() -> dict:
  """Counts and quantiles of the six databases."""
  path = Path(__file__).with_name("cd6me_statistics.json")
  return json.loads(path.read_text(encoding="utf-8"))


def plan_database(
  database: str, scale: float, seed: int, labels: str, nuisance: float = 1.0
) -> list[PlannedClip]:
  """The clips of one database, the same for the same arguments.

  Args:
    database: key.
    scale: share of the published number of clips; 1 gives the published patterns,
      less a proportional choice of them.
    seed: of the whole simulation.
    labels: "statistics", or "balanced": one or two AUs a clip, each AU equally often.
    nuisance: strength; the annotated apex is off by some frames times this.
  """
  known = statistics()[database]
  index = DATABASES.index(database)
  rng = np.random.default_rng((seed, index, 1))
  count = max(FEWEST_CLIPS, round(scale * known["clips"]))
  make = _balanced_patterns if labels == "balanced" else _known_patterns
  patterns = make(known, count, rng)
  lengths, apexes = _lengths(known, count, rng)
  sizes = _clips_per_subject(known["clips_per_subject"], count)
  strengths = _Strengths(seed, index)
  clips, place = [], 0
  for number, size in zip(_subject_numbers(database, len(sizes)), sizes, strict=True):
    start = 1
    for k in range(size):
      clip = _plan_clip(
        database, number, k, start, patterns[place], lengths[place], apexes[place],
        (seed, index, number, k), strengths, nuisance,
      )  # fmt: skip
      start = clip.offset + 1
      clips.append(clip)
      place += 1
  return clips


def positives(clips: list[PlannedClip]) -> dict[int, int]:
  """Number of positive clips of each of the 12 AUs."""
  count = Counter(au for clip in clips for au in clip.labels)
  return {au: count[au] for au in AUS}


# -- Counts ------------------------------------------------------------------


def _known_patterns(known, count, rng) -> list[tuple[int, ...]]:
  """The published patterns, or every so many of them in order of their frequency."""
  every = []
  for text, number in known["patterns"].items():
    aus = () if text == "none" else tuple(int(au) for au in text.split("+"))
    every += [aus] * number
  places = ((np.arange(count) + 0.5) * len(every) / count).astype(int)
  chosen = [every[i] for i in places]
  return [chosen[i] for i in rng.permutation(count)]


def _balanced_patterns(known, count, rng) -> list[tuple[int, ...]]:
  """Singles and pairs, each time one that keeps the counts of the AUs even."""
  choices = [(au,) for au in AUS] + list(PAIRS)
  total, chosen = Counter(), []
  for _ in range(count):
    # The rarest AUs first; a pair counts by the mean of its two.
    cost = [np.mean([total[au] for au in c]) + rng.uniform(0, 0.5) for c in choices]
    chosen.append(choices[int(np.argmin(cost))])
    total.update(chosen[-1])
  return [chosen[i] for i in rng.permutation(count)]


def _clips_per_subject(known: list[int], count: int) -> list[int]:
  """Clips of each subject: as published, or of fewer subjects in proportion."""
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


def _lengths(known, count, rng) -> tuple[np.ndarray, np.ndarray]:
  """Frames and apex offsets with the published quantiles, long with late."""
  at = (np.arange(count) + 0.5) / count

  def quantiles(table):
    knots = [table[name] for name in ("min", "p10", "p50", "p90", "max")]
    return np.floor(np.interp(at, (0, 0.1, 0.5, 0.9, 1), knots) + 0.5).astype(int)

  frames, apexes = quantiles(known["frames"]), quantiles(known["apex_offset"])
  # Shuffle apexes a little against lengths, then both against the patterns.
  apexes = apexes[np.argsort(at + rng.normal(0, 0.15, count))]
  order = rng.permutation(count)
  frames, apexes = frames[order], apexes[order]
  return np.maximum(frames, apexes + 2), apexes


def _subject_numbers(database: str, count: int) -> list[int]:
  """Subject numbers as the real ones run: SAMM's start at 6, CAS(ME)^3 skips 40."""
  first = 6 if database == "samm" else 1
  numbers = [n for n in range(first, first + count + 1)]
  if database == "casme3a":
    numbers = [n for n in numbers if n != 40]
  return numbers[:count]


# -- One clip ----------------------------------------------------------------


class _Strengths:
  """How strongly and on which side each subject shows each AU."""

  def __init__(self, seed: int, index: int):
    self.seed, self.index = seed, index

  @functools.cache  # noqa: B019 - lives as long as one plan.
  def of(self, number: int) -> tuple[dict[int, float], dict[int, float]]:
    rng = np.random.default_rng((self.seed, self.index, number, 2))
    aus = AUS + DISTRACTORS
    strength = dict(zip(aus, rng.lognormal(0, 0.2, len(aus)), strict=True))
    lean = dict(zip(aus, rng.normal(0, 0.08, len(aus)), strict=True))
    return strength, lean


def _plan_clip(
  database, number, k, start, labels, length, apex_offset, seed, strengths, nuisance
) -> PlannedClip:
  rng = np.random.default_rng((*seed, 3))
  fps = LAYOUTS[database].fps
  strength, lean = strengths.of(number)
  shown = [_show(au, rng, strength[au], lean[au]) for au in labels]
  unsure = ()
  if rng.random() < 0.12 or (not labels and rng.random() < 0.5):
    au = int(rng.choice((18, 20, 24)))
    shown.append(_scaled(_show(au, rng, strength[au], lean[au]), 0.6))
  if database == "fourd" and rng.random() < 0.2:
    free = [au for au in AUS if au not in labels]
    unsure = (int(rng.choice(free)),)
    shown.append(_scaled(_show(unsure[0], rng, 0.5, 0.0), 0.2))
  onset = start + int(rng.integers(0, 120))
  if database == "mmew":
    onset = 1 + int(rng.integers(0, 12))
  elif database == "samm":
    onset += 1000 + int(rng.integers(0, 5000))
  offset, apex = onset + int(length) - 1, onset + int(apex_offset)
  wrong = nuisance * rng.normal(0, 0.012 * fps)
  true_apex = int(np.clip(apex + round(wrong), onset + 1, max(onset + 1, offset - 1)))
  filename, name = _names(database, number, k)
  return PlannedClip(
    database=database,
    number=number,
    subject=LAYOUTS[database].subject.format(number),
    name=name,
    filename=filename,
    seed=seed,
    onset=onset,
    apex=apex,
    offset=offset,
    true_apex=true_apex,
    fps=fps,
    labels=tuple(labels),
    shown=tuple(shown),
    unsure=unsure,
    blink=float(rng.uniform(4, 8)) if rng.random() < 0.05 else 0.0,
    emotion=_emotion(labels),
  )


def _show(au: int, rng, strength: float, lean: float) -> Shown:
  """Draws how strongly an AU is shown, and where."""
  peak = float(np.clip(strength * rng.lognormal(np.log(1.3), 0.4), *INTENSITY))
  one_sided = au in ONE_SIDED and rng.random() < 0.3
  weaker = 0.0 if one_sided else float(np.clip(1 - abs(rng.normal(0, 0.15)), 0.5, 1))
  if rng.random() < 0.5 + lean:
    return Shown(au, peak, weaker * peak)
  return Shown(au, weaker * peak, peak)


def _scaled(shown: Shown, factor: float) -> Shown:
  return Shown(shown.au, factor * shown.left, factor * shown.right)


def _names(database: str, number: int, k: int) -> tuple[str, str]:
  """The k-th clip's file name and name, none of which a real database uses."""
  if database == "casme":
    name = f"EP{31 + k // 9}_{1 + k % 9}"
  elif database == "casme2":
    name = f"EP{31 + k // 9}_{1 + k % 9:02d}{'f' if k % 4 == 3 else ''}"
  elif database == "samm":
    name = f"{number:03d}_{8 + k // 9}_{1 + k % 9}"
  elif database == "fourd":
    name = f"S{number:02d}_1{1 + k // 3:02d}_01_{1 + k % 3}"
  elif database == "mmew":
    name = f"S{number:02d}-{11 + k // 9}-{1 + k % 9:03d}"
  else:
    # Recordings a to m, several clips of each: a, a2, a3 ...
    letter, again = "abcdefghijklm"[k // 3 % 13], k % 3 + 3 * (k // 39)
    return letter, letter + (str(again + 1) if again else "")
  return name, name


def _emotion(labels: tuple[int, ...]) -> str:
  """The emotion that coders would write, in words that all six databases share."""
  shown = set(labels)
  if 12 in shown and not shown & {4, 15}:
    return "happiness"
  if shown & {9, 10}:
    return "disgust"
  if shown & {15, 17} or {1, 4} <= shown:
    return "sadness"
  if shown & {1, 2, 5}:
    return "surprise"
  if {4, 7} <= shown:
    return "anger"
  return "others"
