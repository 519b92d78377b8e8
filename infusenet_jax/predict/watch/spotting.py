"""Where in a video a face moves for half a second at most: expressions and blinks.

A micro-expression goes and comes back: points of the face are elsewhere for a moment,
and before and after it they are in one place. So a candidate is a moment at which
points are further from the mean of where they were shortly before and shortly after
than these two are from each other. Everything is in seconds, so that frame rates differ
in nothing else. What lasts longer, comes again and again (speech) or with a turn of the
head is no candidate; a blink is recognised as one. Nothing is reported below an
absolute floor, so that a video in which nothing happens gives nothing.

On real videos nobody spots well: see docs/spotting.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from infusenet_jax.predict.findings import Frames, Spot
from infusenet_jax.predict.watch.motion import POINTS, UPPER_LIDS

LONGEST = 0.5  # Seconds that a micro-expression lasts at most.
# Motion in % of the distance between the eyes that one point alone must exceed; several
# points that move together may each move less: their squares are summed.
FLOOR = 0.5
TOGETHER = 4  # So many points at most.
NOISE = 5.0  # The floor is at least so many times what a point does most of the time.
HEAD = 0.07  # How much it rises with the head's own motion, within `_HASTE` seconds.
LID = 0.8  # Less motion of the lids is no blink, in the unit of FLOOR; of either half,
LID_NOISE = 2.5  # nor less than so many times what they do most of the time,
LIDS_ALIKE = 0.4  # nor if one moves less than that share of their mean.
LIDS = 0.65  # In a blink they move at least so much of what anything else does.
BLINK = (0.04, 0.7)  # Seconds from the first to the last motion of the lids.
# A peak has company if others within NEAR seconds that are higher than COMPANY of it
# have together ALONE of its height: speech.
NEAR, COMPANY, ALONE = 1.2, 0.33, 0.5
_BRIEF = 0.1  # Seconds: what is shorter is a flash, not a muscle.
_TOO_LONG = 1.25 * LONGEST  # Widths are that uncertain; what is shorter is cut.
_RATE = 100.0  # Frames a second to which faster videos are averaged.
_SMOOTH = 0.02  # Seconds, sigma.
_REACHES = (0.15, 0.21, 0.28)  # Seconds from a peak to what it is compared with.
_REST = 0.12  # Seconds that are averaged there.
_HASTE = 0.3  # Seconds.
_FOOT = 0.5  # Share of its height at which a peak's width is taken.
_SKIRT = 0.5  # What eases in and out goes on there for that share of it, each side.
_OUTER = 0.33  # Seconds from a peak to the base that its height is reckoned from.
_MASK = 0.05  # Seconds about a blink in which what it moves does not count.
_GAP = 0.25  # Seconds without frames after which nothing before compares.

_UPPER = np.array(UPPER_LIDS)
_LOWER = _UPPER + 1
_EYES = np.array([name.startswith("eye") for name, _, _ in POINTS])
# What a blink moves, or seems to move.
_BLINKING = _EYES | [name.startswith(("brow", "cheek")) for name, _, _ in POINTS]

Extent = tuple[int, int, int, float]  # Onset, apex, offset (moments), height.


def spot(frames: Frames) -> list[Spot]:
  """Candidate expressions of at most half a second, and blinks, in order of time.

  Args:
    frames: with `path`, as `track.follow` makes them.

  Returns:
    Spots of kind "expression" and "blink"; none overlaps another of its kind. Where the
    lids blink, only what a blink does not move makes an expression.

  Raises:
    ValueError: the frames have no paths.
  """
  if frames.path is None:
    raise ValueError("Frames.path is None; expected frames that track.follow made")
  spots = []
  for first, last in _runs(frames.success, frames.seconds):
    seconds = frames.seconds[first : last + 1]
    course = Course.of(
      seconds, frames.path[first : last + 1], frames.eyes[first : last + 1]
    )
    if course is None:
      continue
    bumps = Bumps.of(course, course.path)
    blinks = list(_blinks(course, bumps))
    for kind, found in (
      ("blink", blinks),
      ("expression", _expressions(_without(course, blinks), blinks)),
    ):
      for *moments, score in found:
        at = np.searchsorted(seconds, course.seconds[moments] - 1e-6)
        rows = first + np.minimum(at, last - first)
        spots.append(Spot(*rows.tolist(), kind, score))
  return sorted(spots, key=lambda s: (s.onset, s.offset))


def _runs(success: np.ndarray, seconds: np.ndarray) -> Iterator[tuple[int, int]]:
  """First and last row of each unbroken run of frames with a face."""
  breaks = np.diff(success) | (np.diff(seconds) > _GAP)
  for rows in np.split(np.arange(len(success)), np.nonzero(breaks)[0] + 1):
    if len(rows) and success[rows[0]]:
      yield int(rows[0]), int(rows[-1])


@dataclass(frozen=True)
class Course:
  """One unbroken run at an even rate: n moments."""

  seconds: np.ndarray  # (n,)
  path: np.ndarray  # (n, P, 2), smoothed.
  haste: np.ndarray  # (n,) how far the head moves about then; unit of the path.
  rate: float  # Moments a second.

  @classmethod
  def of(
    cls, seconds: np.ndarray, path: np.ndarray, eyes: np.ndarray
  ) -> "Course | None":
    """None where the run is too short for anything to be spotted in it.

    Args:
      seconds: (T,), rising.
      path: (T, P, 2), as `Frames.path`.
      eyes: (T, 2, 2), as `Frames.eyes`.
    """
    steps = np.diff(seconds)[np.diff(seconds) > 0]
    if len(steps) < 4 or seconds[-1] - seconds[0] < 2 * (_REACHES[0] + _REST):
      return None
    rate = min(_RATE, 1 / float(np.median(steps)))
    even = np.arange(seconds[0], seconds[-1] + 1e-6, 1 / rate)
    every = max(1, round(len(seconds) / len(even)))
    columns = np.column_stack([path.reshape(len(path), -1), _head(eyes)])
    columns = cv2.blur(columns, (1, every), borderType=cv2.BORDER_REPLICATE)
    columns = np.stack([np.interp(even, seconds, c) for c in columns.T], 1)
    size, sigma = (1, _odd(6 * _SMOOTH * rate)), _SMOOTH * rate
    columns = cv2.GaussianBlur(columns, size, 1e-6, None, sigma, cv2.BORDER_REPLICATE)
    path = columns[:, : 2 * path.shape[1]].reshape(len(even), -1, 2)
    return cls(even, path, _haste(columns[:, -4:], rate), rate)

  def steps(self, seconds: float) -> int:
    """Moments in a time, at least one."""
    return max(1, round(seconds * self.rate))

  def around(self, moment: int) -> slice:
    """The moments that have a say in what happens at one."""
    reach = self.steps(NEAR + _OUTER + 2 * _REST)
    return slice(max(0, moment - reach), moment + reach + 1)

  def wider(self, values: np.ndarray, seconds: float) -> np.ndarray:
    """The largest of values (n,) within so many seconds of each moment."""
    return _largest(values, self.steps(seconds))


def _head(eyes: np.ndarray) -> np.ndarray:
  """Place, size and roll of the head (T, 4), % of the distance between the eyes."""
  turn = eyes[:, 1] - eyes[:, 0]
  apart = np.linalg.norm(turn, axis=1)
  unit = np.median(apart)
  roll = np.unwrap(np.arctan2(turn[:, 1], turn[:, 0]))
  return 100 * np.column_stack([eyes.mean(1) / unit, apart / unit, roll])


def _haste(head: np.ndarray, rate: float) -> np.ndarray:
  """How far the head moves (n,) within `_HASTE` seconds, the most about each moment."""
  half = max(1, round(_HASTE / 2 * rate))
  padded = np.pad(head, ((half, half), (0, 0)), "edge")
  return _largest(
    np.linalg.norm(padded[2 * half :] - padded[: -2 * half], axis=1), half
  )


def _largest(values: np.ndarray, reach: int) -> np.ndarray:
  window = np.ones((2 * reach + 1, 1))
  return cv2.dilate(values.astype(np.float64)[:, None], window)[:, 0]


def _odd(length: float) -> int:
  return 2 * int(length / 2) + 1


@dataclass(frozen=True)
class Bumps:
  """How far values go out and come back about each moment, and whereto."""

  height: np.ndarray  # (n, K) >= 0.
  off: (
    np.ndarray
  )  # (n, K) the same, whether they come back or not, on the way shortest.
  where: np.ndarray  # (n, K, D)

  @classmethod
  def of(cls, course: Course, values: np.ndarray) -> "Bumps":
    """Of values (n, K, D)."""
    n, rest = len(values), course.steps(_REST)
    total = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, 0)])
    at = np.arange(n)

    def mean(first, last):
      first, last = np.clip(first, 0, n - 1), np.clip(last, 0, n - 1)
      return (total[last + 1] - total[first]) / (last + 1 - first)[:, None, None]

    height, where, off = np.zeros(values.shape[:2]), np.zeros_like(values), None
    for reach in map(course.steps, _REACHES):
      before = mean(at - reach - rest + 1, at - reach)
      after = mean(at + reach, at + reach + rest - 1)
      out = values - (before + after) / 2
      length = np.linalg.norm(out, axis=-1)
      off = length if off is None else off
      now = length - np.linalg.norm(after - before, axis=-1)
      better = now > height
      height = np.where(better, now, height)
      where = np.where(better[..., None], out, where)
    return cls(height, off, where)


def _blinks(course: Course, bumps: Bumps) -> Iterator[Extent]:
  """Both eyes' lids go down and up again, and nothing moves much more."""
  # Flow takes the lower lid along; a tightened one (AU 7) goes up.
  upper, lower = bumps.where[:, _UPPER, 1], bumps.where[:, _LOWER, 1]
  down = np.maximum(upper, lower)
  weaker, down = down.min(1), down.mean(1)
  others = np.where(_EYES, 0, bumps.height).max(1)
  least = max(LID / 2, LID_NOISE * float(np.median(bumps.off[:, _EYES])))
  blink = (weaker > least) & (weaker > LIDS_ALIKE * down) & (down > LID)
  blink &= (down > LIDS * others) & (lower.mean(1) > -0.3 * down)
  lids = course.path[:, _EYES, 1].mean(1)
  end = -1
  for apex in _peaks(np.where(blink, down, 0), course.steps(0.1)):
    near = course.around(apex)
    onset, offset, _ = _extent(course, lids[near], apex - near.start)
    onset, offset = onset + near.start, offset + near.start
    if onset > end and BLINK[0] <= (offset - onset) / course.rate <= BLINK[1]:
      end = offset
      yield onset, apex, offset, float(down[apex])


def _blinking(course: Course, blinks: list[Extent]) -> np.ndarray:
  """Moments (n,) at which, or just before or after which, the lids blink."""
  blinking = np.zeros(len(course.seconds), bool)
  for onset, _, offset, _ in blinks:
    blinking[onset : offset + 1] = True
  return course.wider(blinking, _MASK) > 0


def _without(course: Course, blinks: list[Extent]) -> Course:
  """The course with straight lines in place of what blinks move."""
  blinking = _blinking(course, blinks)
  if blinking.all() or not blinking.any():
    return course
  at = np.arange(len(blinking))
  path = course.path.copy()
  for point in np.nonzero(_BLINKING)[0]:
    for axis in (0, 1):
      values = path[:, point, axis]
      values[blinking] = np.interp(at[blinking], at[~blinking], values[~blinking])
  return replace(course, path=path)


def _expressions(course: Course, blinks: list[Extent]) -> Iterator[Extent]:
  """Points that together go out and come back, once; the clearest first."""
  bumps, blinking = Bumps.of(course, course.path), _blinking(course, blinks)
  usual = np.median(bumps.off, axis=0)
  floor = np.maximum(FLOOR, NOISE * usual) + HEAD * course.haste[:, None]
  above = bumps.height / floor
  above[np.ix_(blinking, _BLINKING)] = 0
  score = np.linalg.norm(np.sort(above, axis=1)[:, -TOGETHER:], axis=1)
  taken = np.zeros(len(score), bool)
  peaks = _peaks(np.where(score > 1, score, 0), course.steps(0.12))
  for apex in peaks[np.argsort(-score[peaks], kind="stable")].tolist():
    moving = above[apex] > 0.4 * above[apex].max()
    near = course.around(apex)
    trace = np.tensordot(course.path[near], moving[:, None] * bumps.where[apex], 2)
    at = apex - near.start
    onset, offset, rise = _extent(course, trace, at)
    length = (offset - onset) / course.rate
    if rise <= 0 or not _BRIEF <= length <= _TOO_LONG or not onset < at < offset:
      continue
    if _has_company(course, trace, (onset, at, offset), blinking[near]):
      continue
    onset, offset = _cut(course, onset + near.start, apex, offset + near.start)
    if not taken[onset : offset + 1].any():
      taken[onset : offset + 1] = True
      yield onset, apex, offset, float(bumps.height[apex][moving].max())


def _peaks(score: np.ndarray, apart: int) -> np.ndarray:
  """Moments at which a score is above 0 and the highest within `apart`."""
  at = np.nonzero((score > 0) & (score >= _largest(score, apart)))[0]
  return at[np.diff(at, prepend=-2) > 1]


def _extent(course: Course, trace: np.ndarray, apex: int) -> tuple[int, int, float]:
  """Onset, offset and height of a trace's (n,) peak; its base may slope."""
  n, outer, rest = len(trace), course.steps(_OUTER), course.steps(_REST)
  before = trace[max(0, apex - outer - rest + 1) : max(1, apex - outer + 1)].mean()
  after = trace[min(apex + outer, n - 1) : apex + outer + rest].mean()
  base = np.interp(np.arange(n), (apex - outer, apex + outer), (before, after))
  rise = trace - base
  low = rise < _FOOT * rise[apex]
  left, right = np.nonzero(low[:apex])[0], np.nonzero(low[apex:])[0]
  first = left[-1] + 1 if len(left) else 0
  last = apex + right[0] - 1 if len(right) else n - 1
  skirt = max(1, round(_SKIRT * (last - first + 1)))
  onset, offset = max(0, int(first) - skirt), min(n - 1, int(last) + skirt)
  return onset, offset, float(rise[apex])


def _has_company(
  course: Course, trace: np.ndarray, place: tuple[int, int, int], blinking: np.ndarray
) -> bool:
  """Whether the same parts move in the same way again and again about a peak."""
  onset, apex, offset = place
  near, margin = course.steps(NEAR), course.steps(0.08)
  height = Bumps.of(course, trace[:, None, None]).height[:, 0]
  other = np.where(blinking | (height <= COMPANY * height[apex]), 0, height)
  other[: max(0, apex - near)] = other[apex + near + 1 :] = 0
  other[max(0, onset - margin) : offset + margin + 1] = 0
  peaks = other[_peaks(other, course.steps(0.08))]
  return bool(np.linalg.norm(peaks) > ALONE * height[apex])


def _cut(course: Course, onset: int, apex: int, offset: int) -> tuple[int, int]:
  """The interval, cut at both ends to half a second."""
  spare = offset - onset - int(LONGEST * course.rate)
  if spare > 0:
    onset, offset = onset + spare // 2, offset - (spare - spare // 2)
  return min(onset, apex), max(offset, apex)
