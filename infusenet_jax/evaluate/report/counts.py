"""The report's tables of counts and rates, for every choice of AU and database."""

from typing import NamedTuple

from infusenet_jax.clips.labels import AUS, database_name
from infusenet_jax.evaluate.detection import Detection


class Row(NamedTuple):
  """Counts of clips, and rates in percent, NaN where not defined."""

  name: str
  tp: int
  fp: int
  fn: int
  tn: int
  precision: float
  recall: float
  auc: float


class Group(NamedTuple):
  """The rows for one choice; key: "4" or "all" of AUs, of databases theirs or "all"."""

  key: str
  name: str
  rows: list[Row]


def by_au(detection: Detection) -> list[Group]:
  """Lists the AUs, then all together: of all databases, then of each."""
  choices = [("all", "all databases", -1)]
  choices += [(k, database_name(k), i) for i, k in enumerate(detection.databases)]
  columns = [*((f"AU{au}", i) for i, au in enumerate(AUS)), ("all", -1)]
  return [
    Group(key, name, [_row(au, detection, row, i) for au, i in columns])
    for key, name, row in choices
  ]


def by_database(detection: Detection) -> list[Group]:
  """Lists the databases, then all together: for all AUs, then for each."""
  choices = [("all", "all AUs", -1)]
  choices += [(str(au), f"AU{au}", i) for i, au in enumerate(AUS)]
  lines = [(database_name(key), i) for i, key in enumerate(detection.databases)]
  lines.append(("all", -1))
  return [
    Group(key, name, [_row(of, detection, i, column) for of, i in lines])
    for key, name, column in choices
  ]


def _row(name: str, detection: Detection, row: int, column: int) -> Row:
  rates = (detection.precision, detection.recall, detection.auc)
  return Row(
    name,
    *map(int, detection.counts[row, column]),
    *(100 * float(rate[row, column]) for rate in rates),
  )
