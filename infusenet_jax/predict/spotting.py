"""Where in a video a face moves for half a second at most: expressions and blinks.

A micro-expression goes and comes back: a point of the face is elsewhere for a moment,
and before and after it is in one place. So a candidate is a moment at which a point is
further from the mean of where it was shortly before and shortly after than these two
are from each other. Everything is in seconds, so that frame rates differ in nothing
else. What lasts longer, comes again and again (speech) or comes with a turn of the head
is no candidate; a blink is recognised as one. Nothing is reported below an absolute
floor, so that a video in which nothing happens gives nothing.

On real videos nobody spots well: see docs/spotting.md.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from infusenet_jax.predict.findings import Frames, Spot
from infusenet_jax.predict.motion import POINTS, UPPER_LIDS

LONGEST = 0.5  # Seconds that a micro-expression lasts at most.
SHORTEST = 0.2  # Seconds of a short one; see `frames_of_short`.
FEWEST = 10  # Frames that it should have.
LOOSE = 1.25
FLOOR = 0.4  # % of the distance between the eyes: less is never reported.
LID = 0.8  # The same: less motion of the upper lids is no blink.
LIDS_SHARE = 0.65  # The lids move at least so much of what anything else does then.
DEBUG = False
HEAD = 0.10  # How much the floor rises with the head's own motion.
NOISE = 8.0  # The floor is at least so many times a point's own restlessness.
ALONE = 0.5  # A peak has company if another is higher than this share of it ...
COMPANY = 0.25
NEAR = 1.2  # ... within so many seconds.
_RATE = 100.0  # Frames a second to which faster videos are averaged.
_SMOOTH = 0.02  # Seconds, sigma.
_REACHES = (0.15, 0.21, 0.28)  # Seconds from a peak to what it is compared with.
_REST = 0.12  # Seconds that are averaged there.
_HASTE = 0.3  # Seconds.
_FOOT = 0.2  # Share of its height at which a peak's width is taken.
# A motion that eases in and out is 1.42 times as long as it is wide there.
_SKIRT = 0.21
_PEOPLE_BLINK = (0.06, 0.5)  # Seconds from the first to the last motion of the lids.

_LIDS = np.array(UPPER_LIDS)
_LOWER = _LIDS + 1
_EYES = np.isin(np.arange(len(POINTS)), [*_LIDS, *_LOWER])


def frames_of_short(fps: float) -> tuple[float, str | None]:
  """How many frames an expression of 0.2 s has, and a warning if they are too few.

  Args:
    fps: frames a second.
  """
  count = SHORTEST * fps
  if count >= FEWEST:
    return count, None
  return count, (
    f"at {fps:.3g} frames a second an expression of {SHORTEST:g} s has only"
    f" {count:.3g} frames, expected at least {FEWEST}: short ones may be missed; film at"
    f" {FEWEST / SHORTEST:g} or more"
  )


def spot(frames: Frames) -> list[Spot]:
  """Candidate expressions of at most half a second, and blinks, in order of time.

  Args:
    frames: with `path`, as track.follow makes them.

  Returns:
    Spots of kind "expression" and "blink"; none overlaps another of its kind. An
    expression is not reported where a blink alone explains what moves.

  Raises:
    ValueError: the frames have no paths.
  """
  if frames.path is None:
    raise ValueError("Frames.path is None: only frames that were followed can be spot")
  spots = []
  for first, last in _runs(frames.success, frames.seconds):
    rows = slice(first, last + 1)
    course = _Course.of(frames.seconds[rows], frames.path[rows], frames.eyes[rows])
    if course is None:
      continue
    for onset, apex, offset, kind, score in _candidates(course):
      at = np.searchsorted(frames.seconds[rows], (onset, apex, offset))
      onset, apex, offset = (first + np.clip(at, 0, last - first)).tolist()
      spots.append(Spot(onset, max(onset, apex), max(onset, offset), kind, score))
  return sorted(spots, key=lambda s: (s.onset, s.offset))


def _runs(success: np.ndarray, seconds: np.ndarray) -> list[tuple[int, int]]:
  """First and last row of each unbroken run of frames with a face."""
  if not len(success):
    return []
  jumps = np.concatenate([[True], np.diff(seconds) > 0.25])
  label = np.cumsum(jumps | np.diff(success, prepend=success[0]))
  runs = []
  for value in np.unique(label[success]):
    rows = np.nonzero(success & (label == value))[0]
    runs.append((int(rows[0]), int(rows[-1])))
  return runs


@dataclass(frozen=True)
class _Course:
  """One unbroken run at an even rate: n moments."""

  seconds: np.ndarray  # (n,)
  path: np.ndarray  # (n, P, 2), smoothed.
  head: (
    np.ndarray
  )  # (n, 4): place, size and roll in % of the distance between the eyes.
  rate: float  # Moments a second.

  @classmethod
  def of(cls, seconds, path, eyes) -> "_Course | None":
    """None where the run is too short for anything to be spotted in it."""
    if len(seconds) < 5 or seconds[-1] - seconds[0] < 2 * (_REACHES[0] + _REST):
      return None
    rate = min(_RATE, 1 / float(np.median(np.diff(seconds))))
    even = np.arange(seconds[0], seconds[-1] + 1e-6, 1 / rate)
    apart = np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1)
    unit = float(np.median(apart))
    turn = eyes[:, 1] - eyes[:, 0]
    head = np.column_stack(
      [eyes.mean(1) / unit, apart / unit, np.arctan2(turn[:, 1], turn[:, 0])]
    )
    flat = np.column_stack([path.reshape(len(path), -1), 100 * head])
    # Frames between two moments are averaged, not skipped.
    every = max(1, round(len(seconds) / len(even)))
    if every > 1:
      flat = cv2.blur(flat, (1, every), borderType=cv2.BORDER_REPLICATE)
    flat = np.stack([np.interp(even, seconds, column) for column in flat.T], 1)
    size, sigma = (1, _odd(6 * _SMOOTH * rate)), _SMOOTH * rate
    smooth = cv2.GaussianBlur(flat, size, 1e-6, None, sigma, cv2.BORDER_REPLICATE)
    points = smooth[:, :-4].reshape(len(even), -1, 2)
    return cls(even, points, smooth[:, -4:], rate)

  def steps(self, seconds: float) -> int:
    return max(1, round(seconds * self.rate))


def _odd(length: float) -> int:
  return 2 * int(length / 2) + 1


def _bumps(course: _Course, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """How far (n, K) and whereto (n, K, D) values (n, K, D) go out and come back."""
  n = len(values)
  total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, 0)])
  at = np.arange(n)
  best, where = np.zeros(values.shape[:2]), np.zeros_like(values)
  rest = course.steps(_REST)
  for reach in _REACHES:
    reach = course.steps(reach)
    start, end = np.clip(at - reach - rest + 1, 0, n - 1), np.clip(at - reach, 0, n - 1)
    before = (total[end + 1] - total[start]) / (end + 1 - start)[:, None, None]
    start, end = np.clip(at + reach, 0, n - 1), np.clip(at + reach + rest - 1, 0, n - 1)
    after = (total[end + 1] - total[start]) / (end + 1 - start)[:, None, None]
    out = values - (before + after) / 2
    height = np.linalg.norm(out, axis=-1) - np.linalg.norm(after - before, axis=-1)
    better = height > best
    best, where = (
      np.where(better, height, best),
      np.where(better[..., None], out, where),
    )
  return best, where


def _candidates(course: _Course):
  """Yields (onset, apex, offset) in seconds, kind and score of each."""
  height, where = _bumps(course, course.path)
  head = _haste(course)
  taken = np.zeros(len(height), bool)  # By blinks.
  for blink in _blinks(course, height, where):
    taken[blink[0] : blink[2] + 1] = True
    yield (*course.seconds[list(blink[:3])], "blink", blink[3])
  restless = np.quantile(height, 0.75, axis=0)
  floor = np.maximum(FLOOR, NOISE * restless)[None] + HEAD * head[:, None]
  wide = cv2.dilate(
    taken.astype(np.uint8)[:, None], np.ones((_odd(0.1 * course.rate), 1))
  )
  wide = wide[:, 0] > 0
  above = height / floor
  above[np.ix_(wide, _LID_SPILL)] = 0
  yield from _expressions(course, above, height, where, wide)


_LID_SPILL = np.array(
  [_EYES[i] or POINTS[i][0].startswith(("brow", "cheek")) for i in range(len(POINTS))]
).nonzero()[0]


def _haste(course: _Course) -> np.ndarray:
  """How far the head moves (n,) within `_HASTE` seconds, about each moment."""
  half = course.steps(_HASTE / 2)
  padded = np.pad(course.head, ((half, half), (0, 0)), "edge")
  moved = np.linalg.norm(padded[2 * half :] - padded[: -2 * half], axis=1)
  return cv2.dilate(moved[:, None], np.ones((2 * half + 1, 1)))[:, 0]


def _blinks(course, height, where):
  """(onset, apex, offset, score), moments, of every blink."""
  down = where[:, _LIDS, 1].min(1)  # Both lids, downwards.
  lower = where[:, _LOWER, 1].mean(1)
  others = np.where(_EYES, 0, height).max(1)
  blink = (down > LID) & (lower > -0.3 * down) & (down > LIDS_SHARE * others)
  end = -1
  for apex in _peaks(np.where(blink, down, 0), course.steps(0.1)):
    lids = course.path[:, _LIDS, 1].mean(1)
    onset, offset, _ = _extent(course, lids, apex)
    length = (offset - onset) / course.rate
    if onset > end and _PEOPLE_BLINK[0] <= length <= _PEOPLE_BLINK[1]:
      end = offset
      yield onset, apex, offset, float(down[apex])


def _expressions(course, above, height, where, wide):
  score = np.linalg.norm(above, axis=1)
  found = []
  for apex in _peaks(np.where(score > 1, score, 0), course.steps(0.12)):
    part = (above[apex] > 0.4 * above[apex].max())[:, None] * where[apex]
    part = part / np.linalg.norm(part)
    trace = np.tensordot(course.path, part, 2)
    onset, offset, rise = _extent(course, trace, apex)
    length = (offset - onset) / course.rate
    if DEBUG:
      print(
        "   cand",
        course.seconds[[onset, apex, offset]].round(2),
        "score",
        score[apex].round(2),
        "rise",
        round(rise, 2),
        "len",
        round(length, 2),
        "company",
        _has_company(course, trace, onset, apex, offset, wide),
      )
    if rise <= 0 or length > LOOSE * LONGEST or not onset < apex < offset:
      continue
    if _has_company(course, trace, onset, apex, offset, wide):
      continue
    largest = float(height[apex][above[apex] > 0].max())
    onset, offset = _trimmed(course, onset, apex, offset)
    found.append((float(score[apex]), onset, apex, offset, largest))
  kept = []
  for item in sorted(found, reverse=True):
    if all(item[3] < o[1] or item[1] > o[3] for o in kept):
      kept.append(item)
  for _, onset, apex, offset, largest in kept:
    yield (*course.seconds[[onset, apex, offset]], "expression", largest)


def _peaks(score: np.ndarray, apart: int) -> np.ndarray:
  """Moments at which a score is above 0 and the highest within `apart`."""
  around = cv2.dilate(score[:, None], np.ones((2 * apart + 1, 1)))[:, 0]
  at = np.nonzero((score > 0) & (score >= around))[0]
  return at[np.diff(at, prepend=-apart - 1) > 1]


def _extent(course, trace, apex: int) -> tuple[int, int, float]:
  """(onset, offset, height) of a trace's peak, moments."""
  reach, rest = course.steps(0.33), course.steps(_REST)
  before = trace[max(0, apex - reach - rest + 1) : max(1, apex - reach + 1)]
  after = trace[min(apex + reach, len(trace) - 1) : apex + reach + rest]
  base = np.interp(
    np.arange(len(trace)), (apex - reach, apex + reach), (before.mean(), after.mean())
  )
  rise = trace - base
  low = rise < _FOOT * rise[apex]
  left = np.nonzero(low[:apex])[0]
  right = np.nonzero(low[apex:])[0]
  first = left[-1] + 1 if len(left) else 0
  last = apex + right[0] - 1 if len(right) else len(trace) - 1
  skirt = round(_SKIRT * (last - first + 1))
  return (
    max(0, int(first - skirt)),
    min(len(trace) - 1, int(last + skirt)),
    float(rise[apex]),
  )


def _trimmed(course, onset: int, apex: int, offset: int) -> tuple[int, int]:
  """The interval, cut at both ends to half a second."""
  spare = offset - onset - int(LONGEST * course.rate)
  if spare > 0:
    onset, offset = onset + spare // 2, offset - (spare - spare // 2)
  return min(onset, apex), max(offset, apex)


def _has_company(course, trace, onset, apex, offset, wide) -> bool:
  """Whether the same parts move in the same way again and again about a peak."""
  near, margin = course.steps(NEAR), course.steps(0.08)
  height, where = _bumps(course, trace[:, None, None])
  other = np.where(wide, 0, np.abs(height[:, 0]))
  other[max(0, onset - margin) : offset + margin + 1] = 0
  other[: max(0, apex - near)], other[apex + near + 1 :] = 0, 0
  mine = height[apex, 0]
  others = other[_peaks(np.where(other > COMPANY * mine, other, 0), course.steps(0.08))]
  return np.linalg.norm(others) > ALONE * mine
