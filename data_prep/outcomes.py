"""Reports what became of each database: lines, a table and an exit status."""

import dataclasses

from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.runtime.text import print_lines, text_table


@dataclasses.dataclass
class Outcome:
  """What became of one database in a build; its lines name file and row or clip."""

  key: str
  name: str
  annotated: int = 0
  clips: int = 0
  subjects: int = 0
  centred: int = 0  # Clips cropped around the frame's centre, as no face was found.
  seconds: float = 0.0
  reused: bool = False
  taken: list[str] = dataclasses.field(default_factory=list)
  problems: list[str] = dataclasses.field(default_factory=list)
  notes: list[str] = dataclasses.field(default_factory=list)
  fixes: list[str] = dataclasses.field(default_factory=list)
  counts: list[str] = dataclasses.field(default_factory=list)  # Not as published.
  lacking: list[str] = dataclasses.field(default_factory=list)  # As subject/clip.
  failure: str = ""  # Why there are no records; "" if there are.


def print_outcomes(outcomes: list[Outcome], absent: list[str]) -> int:
  """Prints what was taken, then the problems on stderr, then the table.

  Args:
    outcomes: of the databases that were found.
    absent: keys of the databases that were wanted and not found.

  Returns:
    The exit status of `build`.
  """
  rows = []
  for outcome in outcomes:
    if outcome.taken:
      print("\n".join(outcome.taken))
    print_lines(outcome.notes + outcome.problems + outcome.counts)
    if outcome.failure:
      print_lines([outcome.failure])
    state = "kept" if outcome.reused else f"{outcome.seconds:.0f} s"
    rows.append(
      [
        outcome.name,
        f"{outcome.clips} of {outcome.annotated}",
        outcome.subjects,
        outcome.centred,
        len(outcome.fixes),
        len(outcome.problems),
        "not built" if outcome.failure else state,
      ]
    )
  rows += [[DATABASES[key], *"-----", "not there"] for key in absent]
  header = ["database", "clips", "subjects", "centre crops", "fixes", "problems", ""]
  print(text_table([header, *rows], underlined=True))
  print(
    "centre crops: clips in which no face was found, so that the middle of the frame "
    "was\ntaken; fixes: known annotation errors that were corrected"
  )
  if any(outcome.failure for outcome in outcomes):
    return 2
  return int(any(outcome.problems or outcome.counts for outcome in outcomes))
