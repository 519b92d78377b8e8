"""How hard a simulation is: weak action units, coders who err, unlike databases.

Workbooks hold what coders wrote down; faces show what is true. The two differ where a
coder missed an action unit that was shown, or wrote down one that was not.
"""

import dataclasses
import math

import numpy as np

from data_prep.databases.layouts import LAYOUTS
from infusenet_jax.clips.labels import AUS

Pairs = tuple[tuple[int | str, float], ...]


@dataclasses.dataclass(frozen=True)
class Difficulty:
  """What makes a simulation harder than a plain one, which has all of it at rest.

  Each is given as pairs of an AU (or database) and a number, for those that differ from
  the default. Published label patterns are what coders wrote, so their counts stay as
  published whatever is set here.

  strength: factor on all motion and relief of an AU; default 1.
  doubtful: share of the clips that a coder wrote the AU down for in which it is not
    shown; default 0.
  missed: clips that show the AU without a coder having written it down, as a share of
    those that are written down; default 0.
  coders: factor on both shares in a database; default 1.
  unlike: standard deviation of the logarithm of a factor on each AU's strength in each
    database, the same for every seed.
  """

  strength: Pairs = ()
  doubtful: Pairs = ()
  missed: Pairs = ()
  coders: Pairs = ()
  unlike: float = 0.0

  def strengths(self, database: str) -> dict[int, float]:
    """The factor on each AU's strength in a database."""
    rng = np.random.default_rng((list(LAYOUTS).index(database), 9))
    own = np.exp(self.unlike * np.clip(rng.normal(size=len(AUS)), -2, 2)).tolist()
    given = dict(self.strength)
    return {au: given.get(au, 1.0) * f for au, f in zip(AUS, own, strict=True)}

  def shown(
    self, database: str, coded: list[tuple[int, ...]], seed: int
  ) -> list[tuple[int, ...]]:
    """Draws the AUs, among the 12, that each clip of a database really shows.

    Args:
      database: its key.
      coded: the AUs that coders wrote down for each clip.
      seed: of the simulation.
    """
    rng = np.random.default_rng((seed, list(LAYOUTS).index(database), 8))
    erring = dict(self.coders).get(database, 1.0)
    doubtful, missed = dict(self.doubtful), dict(self.missed)
    shown = [set(aus) for aus in coded]
    for au in AUS:
      written = [i for i, aus in enumerate(coded) if au in aus]
      others = [i for i, aus in enumerate(coded) if au not in aus]
      # The same draws whatever the shares, so that settings differ in few clips.
      written, others = (rng.permutation(np.array(v, int)) for v in (written, others))
      rounding = rng.random(2)
      wrong, more = (
        math.floor(min(erring * shares.get(au, 0.0), most) * len(written) + part)
        for shares, most, part in zip(
          (doubtful, missed), (1.0, math.inf), rounding, strict=True
        )
      )
      for i in written[:wrong]:
        shown[i].discard(au)
      for i in others[:more]:
        shown[i].add(au)
    return [
      aus if set(aus) == true else tuple(au for au in AUS if au in true)
      for aus, true in zip(coded, shown, strict=True)
    ]


PLAIN = Difficulty()
