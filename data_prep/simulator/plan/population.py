"""Plans the clips of a simulated database: who shows which AUs, and when.

Subjects, label patterns, clip lengths and apex offsets follow `cd6me_statistics.json`
(counts taken from the licensed databases' annotations).
"""

import dataclasses
import functools
from collections import Counter

import numpy as np

from data_prep.databases.layouts import LAYOUTS
from data_prep.simulator.plan import counts
from data_prep.simulator.plan.difficulty import PLAIN, Difficulty
from data_prep.simulator.portrait.action_units import DISTRACTORS, ONE_SIDED
from infusenet_jax.clips.labels import AUS

DATABASES = tuple(LAYOUTS)
FEWEST_CLIPS = 6  # Clips of a database, however small the scale.
INTENSITY = (0.3, 3.0)  # Peak motion of a clip, pixels in a 224 px crop.


@dataclasses.dataclass(frozen=True)
class Shown:
  """One action unit of a clip and its largest motion on the picture's left and right.

  It is in pixels of a 224 px crop, as all motion in a plan.
  """

  au: int
  left: float
  right: float

  @property
  def letter(self) -> str:
    """The side as coders write it: the subject's "L" or "R", or "" for both."""
    if self.left and self.right:
      return ""
    return "R" if self.left else "L"


@dataclasses.dataclass(frozen=True)
class PlannedClip:
  """Everything that is decided about a clip before it is drawn."""

  database: str
  number: int  # Number of the subject.
  subject: str  # Name of the subject, as the reader of databases makes it.
  name: str  # Unique within the subject.
  filename: str  # As in the workbook; clips of a subject in CAS(ME)^3 may share it.
  seed: tuple[int, ...]
  onset: int
  apex: int  # As annotated.
  offset: int
  true_apex: int  # Where the face moves most.
  fps: float
  labels: tuple[int, ...]  # Those of the 12 AUs that coders wrote down.
  true: tuple[int, ...]  # Those of the 12 AUs that it shows, faint ones apart.
  shown: tuple[Shown, ...]  # All AUs that move, also some that are not among the 12.
  unsure: tuple[int, ...]  # AUs that coders of 4DME mark (k), which are not positive.
  blink: float  # Largest motion of a blink in pixels; 0: no blink.
  emotion: str

  @property
  def truth_name(self) -> str:
    """The name of the clip's truth file, without its suffix."""
    return f"{self.subject}_{self.name}"


def plan_database(
  database: str,
  scale: float,
  seed: int,
  labels: str,
  nuisance: float = 1.0,
  difficulty: Difficulty = PLAIN,
) -> list[PlannedClip]:
  """Plans the clips of one database; the same arguments give the same clips.

  Args:
    database: its key.
    scale: share of the published number of clips. With 1 the clips have the published
      label patterns, with less a proportional choice of them.
    seed: of the whole simulation.
    labels: "statistics" for the published label patterns, or "balanced" for one or two
      AUs a clip, each AU about equally often.
    nuisance: its strength, to which the error of annotated apexes is proportional.
    difficulty: how strong AUs are, and where faces and coders disagree.
  """
  known = counts.statistics()[database]
  index = DATABASES.index(database)
  rng = np.random.default_rng((seed, index, 1))
  count = max(FEWEST_CLIPS, round(scale * known["clips"]))
  make = counts.balanced_patterns if labels == "balanced" else counts.known_patterns
  patterns = make(known, count, rng)
  shown = difficulty.shown(database, patterns, seed)
  strengths = difficulty.strengths(database)
  lengths, apexes = counts.lengths(known, count, rng)
  sizes = counts.clips_per_subject(known["clips_per_subject"], count)
  clips, place = [], 0
  for number, size in zip(_subject_numbers(database, len(sizes)), sizes, strict=True):
    start = 1
    for k in range(size):
      clip = _plan_clip(
        database, number, k, start, patterns[place], shown[place], lengths[place],
        apexes[place], (seed, index, number, k), nuisance, strengths,
      )  # fmt: skip
      start = clip.offset + 1
      clips.append(clip)
      place += 1
  return clips


def at_rest(clip: PlannedClip) -> PlannedClip:
  """Returns the clip with a face at rest: without any AU and without a blink."""
  still = {"labels": (), "true": (), "shown": (), "unsure": (), "blink": 0.0}
  return dataclasses.replace(clip, **still, emotion=_emotion(()))


def positives(clips: list[PlannedClip]) -> dict[int, int]:
  """Counts the clips that show each of the 12 AUs."""
  count = Counter(au for clip in clips for au in clip.labels)
  return {au: count[au] for au in AUS}


@functools.lru_cache
def _habits(seed: int, index: int, number: int) -> dict[int, tuple[float, float]]:
  """Draws how strongly a subject shows each AU, and on which side more often.

  The second number is added to 1/2 for the probability of the picture's left.
  """
  rng = np.random.default_rng((seed, index, number, 2))
  return {
    au: (float(rng.lognormal(0, 0.2)), float(rng.normal(0, 0.08)))
    for au in AUS + DISTRACTORS
  }


def _plan_clip(
  database,
  number,
  k,
  start,
  labels,
  true,
  length,
  apex_offset,
  seed,
  nuisance,
  strengths,
) -> PlannedClip:
  """Plans the `k`-th clip of a subject; its onset is at frame `start` or later."""
  rng = np.random.default_rng((*seed, 3))
  fps = LAYOUTS[database].fps
  habits = _habits(*seed[:3])
  # AUs that coders missed are drawn apart; all else is as if they had not erred.
  missed_rng = np.random.default_rng((*seed, 10))
  shown = [show_au(au, rng, *habits[au]) for au in labels]
  shown += [show_au(au, missed_rng, *habits[au]) for au in true if au not in labels]
  shown = [_scaled(each, strengths[each.au]) for each in shown if each.au in true]
  unsure = ()
  if rng.random() < 0.12 or (not labels and rng.random() < 0.5):
    au = int(rng.choice((18, 20, 24)))
    shown.append(_scaled(show_au(au, rng, *habits[au]), 0.6))
  if database == "fourd" and rng.random() < 0.2:
    free = [au for au in AUS if au not in labels + true]
    unsure = (int(rng.choice(free)),)
    shown.append(_scaled(show_au(unsure[0], rng, 0.5, 0.0), 0.2))
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
    true=tuple(true),
    shown=tuple(shown),
    unsure=unsure,
    blink=float(rng.uniform(4, 8)) if rng.random() < 0.05 else 0.0,
    emotion=_emotion(labels),
  )


def show_au(au: int, rng, strength: float = 1.0, lean: float = 0.0) -> Shown:
  """Draws how strongly an AU is shown, and where.

  Args:
    au: the action unit.
    rng: draws.
    strength: of this person's, relative to others'.
    lean: how much more often than half it is the stronger on the picture's left.
  """
  peak = float(np.clip(strength * rng.lognormal(np.log(1.1), 0.45), *INTENSITY))
  one_sided = au in ONE_SIDED and rng.random() < 0.3
  weaker = 0.0 if one_sided else float(np.clip(1 - abs(rng.normal(0, 0.15)), 0.5, 1))
  if rng.random() < 0.5 + lean:
    return Shown(au, peak, weaker * peak)
  return Shown(au, weaker * peak, peak)


def _scaled(shown: Shown, factor: float) -> Shown:
  return Shown(shown.au, factor * shown.left, factor * shown.right)


def _names(database: str, number: int, k: int) -> tuple[str, str]:
  """Makes the k-th clip's file name and name, such as no real database uses."""
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
    # Recordings a to m, with several clips in each: a, a2, a3 ...
    letter, again = "abcdefghijklm"[k // 3 % 13], k % 3 + 3 * (k // 39)
    return letter, letter + (str(again + 1) if again else "")
  return name, name


def _emotion(labels: tuple[int, ...]) -> str:
  """Chooses the emotion that coders would write, in words that all databases share."""
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


def _subject_numbers(database: str, count: int) -> list[int]:
  """Lists subject numbers: from 1, but SAMM's start at 6 and CAS(ME)^3 skips 40."""
  first = 6 if database == "samm" else 1
  numbers = list(range(first, first + count + 1))
  if database == "casme3a":
    numbers = [n for n in numbers if n != 40]
  return numbers[:count]
