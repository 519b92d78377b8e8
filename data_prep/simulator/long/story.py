"""What happens in a long video, and when: no pictures yet.

An expression of at most half a second is a micro-expression, a longer one a larger one.
"""

import dataclasses

import numpy as np

from data_prep.simulator.plan.counts import PAIRS
from data_prep.simulator.plan.population import DATABASES, Shown, show_au
from infusenet_jax.clips.labels import AUS

MICRO = (0.2, 0.5)  # Seconds that a micro-expression lasts.
RATES = (25.0, 30.0, 60.0, 100.0, 200.0)  # Frames a second, in turn.
# What a video shows: micro-expressions among everything else; everything but those; a
# face at rest, of which noise and light alone make something.
KINDS = ("expressions", "everyday", "still")
_ORDER = ("expressions", "everyday", "expressions", "still")
_QUIET = 0.7  # Least seconds between two things of the face, blinks apart.
_MACRO = 3.0  # How much stronger a larger expression is.


@dataclasses.dataclass(frozen=True)
class Event:
  """Something that lasts from `start` to `end`, in seconds, fullest at `apex`.

  kind: "micro", "macro", "blink", "speech", "turn" of the head, or "light".
  shown: the action units of an expression. amount: of a blink, pixels of a 224 px crop;
  of speech likewise; of a turn, right, down, size, roll, yaw and pitch as `warp.Pose`;
  of light, the gain and what is added from the right and from below.
  """

  kind: str
  start: float
  apex: float
  end: float
  shown: tuple[Shown, ...] = ()
  amount: tuple[float, ...] = ()

  def frames(self, fps: float) -> tuple[int, int, int]:
    """Onset, apex and offset as frames, the first is 0; both ends inclusive."""
    onset, offset = int(np.ceil(self.start * fps)), int(self.end * fps)
    return onset, int(np.clip(round(self.apex * fps), onset, offset)), offset


@dataclasses.dataclass(frozen=True)
class Story:
  """One video before it is drawn."""

  number: int  # From 0.
  kind: str  # Of KINDS.
  database: str  # Whose camera films it.
  seed: tuple[int, ...]
  fps: float
  count: int  # Frames.
  events: tuple[Event, ...]  # In order of time.

  @property
  def name(self) -> str:
    """The file's name without its ending."""
    return f"{self.number + 1:02d}_{self.kind}_{self.fps:g}fps"


def plan_stories(
  count: int, seconds: float, rates: tuple[float, ...], seed: int
) -> list[Story]:
  """Plans `count` videos: half with micro-expressions, a quarter of each other kind.

  Args:
    count: of videos.
    seconds: that each lasts.
    rates: frames a second, taken in turn by the videos of each kind.
    seed: everything is a function of it.
  """
  stories, made = [], dict.fromkeys(KINDS, 0)
  for number in range(count):
    kind = _ORDER[number % len(_ORDER)]
    fps = rates[(made[kind] + 2 * KINDS.index(kind)) % len(rates)]
    made[kind] += 1
    rng = np.random.default_rng((seed, number, 20))
    events = tuple(sorted(_events(kind, seconds, rng), key=lambda e: e.start))
    stories.append(
      Story(
        number=number,
        kind=kind,
        database=DATABASES[number % len(DATABASES)],
        seed=(seed, number),
        fps=fps,
        count=round(seconds * fps),
        events=events,
      )
    )
  return stories


def _events(kind: str, seconds: float, rng) -> list[Event]:
  if kind == "still":
    return _lights(seconds, 8.0, rng)
  per = seconds / 40
  makers = [_macro] * _some(2, per, rng) + [_speech] * _some(1.5, per, rng)
  makers += [_turn] * _some(2, per, rng)
  if kind == "expressions":
    makers += [_micro] * max(1, _some(5, per, rng))
  lasting = [(maker, _LASTS[maker](rng)) for maker in makers]
  return [
    *_in_turn(lasting, seconds, rng),
    *_blinks(seconds, rng),
    *_lights(seconds, 15.0, rng),
  ]


def _some(mean: float, per: float, rng) -> int:
  """A whole number whose mean is `mean * per`."""
  return int(mean * per + rng.random())


def _in_turn(lasting, seconds: float, rng) -> list[Event]:
  """Events in a random order with random gaps; those that find no room are left out."""
  order = [lasting[i] for i in rng.permutation(len(lasting))]
  spare = seconds - sum(length + _QUIET for _, length in order) - _QUIET
  while order and spare < 0:
    spare += order.pop()[1] + _QUIET
  gaps = rng.dirichlet(np.full(len(order) + 1, 2.0)) * max(spare, 0.0)
  events, time = [], 0.0
  for (maker, length), gap in zip(order, gaps[:-1], strict=True):
    start = time + _QUIET + float(gap)
    events.append(maker(start, length, rng))
    time = start + length
  return events


def _micro(start: float, length: float, rng) -> Event:
  choices = [(au,) for au in AUS] + list(PAIRS)
  shown = tuple(show_au(au, rng) for au in choices[int(rng.integers(len(choices)))])
  apex = start + length * float(rng.uniform(0.35, 0.6))
  return Event("micro", start, apex, start + length, shown)


def _macro(start: float, length: float, rng) -> Event:
  choices = [(6, 12), (4, 7), (1, 2), (12,), (15, 17), (9, 10), (4, 9)]
  shown = []
  for au in choices[int(rng.integers(len(choices)))]:
    once = show_au(au, rng)
    shown.append(Shown(au, _MACRO * once.left, _MACRO * once.right))
  apex = start + length * float(rng.uniform(0.35, 0.6))
  return Event("macro", start, apex, start + length, tuple(shown))


def _speech(start: float, length: float, rng) -> Event:
  amount = (float(rng.uniform(1.5, 4.0)),)
  return Event("speech", start, start + length / 2, start + length, amount=amount)


def _turn(start: float, length: float, rng) -> Event:
  most = np.array((0.15, 0.08, 0.03, 0.08, 0.18, 0.10))
  amount = tuple((most * rng.uniform(-1, 1, 6)).tolist())
  return Event("turn", start, start + length / 2, start + length, amount=amount)


_LASTS = {
  _micro: lambda rng: float(rng.uniform(*MICRO)),
  _macro: lambda rng: float(rng.uniform(0.9, 3.0)),
  _speech: lambda rng: float(rng.uniform(1.5, 4.0)),
  _turn: lambda rng: float(rng.uniform(0.8, 2.5)),
}


def _blinks(seconds: float, rng) -> list[Event]:
  """Blinks 1.5 to 6 s apart, that close in 0.07 to 0.1 s and open more slowly."""
  blinks, time = [], float(rng.uniform(0.5, 3))
  while time < seconds - 0.5:
    close, open_again = float(rng.uniform(0.07, 0.1)), float(rng.uniform(0.11, 0.19))
    peak = float(rng.uniform(8, 12))
    blinks.append(
      Event("blink", time, time + close, time + close + open_again, amount=(peak,))
    )
    time += float(rng.uniform(1.5, 6))
  return blinks


def _lights(seconds: float, apart: float, rng) -> list[Event]:
  """Lamps that go brighter, darker or elsewhere for a while, about `apart` s apart."""
  lights, time = [], float(rng.uniform(0.3, 1) * apart)
  while time < seconds - 1:
    length = float(rng.uniform(0.6, 4))
    amount = rng.uniform(-1, 1, 3) * (0.25, 0.25, 0.15)
    lights.append(
      Event("light", time, time + length / 2, time + length, amount=tuple(amount))
    )
    time += length + float(rng.uniform(0.5, 1.5) * apart)
  return lights
