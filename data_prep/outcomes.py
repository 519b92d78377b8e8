"""What became of each database, as lines, a table and an exit status."""

import dataclasses

from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.runtime.text import print_lines, text_table


@dataclasses.dataclass
class Outcome:
  """What became of one database; the lines name file and row or clip."""

  key: str
  name: str
  annotated: int = 0
  clips: int = 0
  subjects: int = 0
  centred: int = 0  # Clips whose face was not found, cropped around the centre.
  seconds: float = 0.0
  reused: bool = False
  taken: list[str] = dataclasses.field(default_factory=list)
  problems: list[str] = dataclasses.field(default_factory=list)
  notes: list[str] = dataclasses.field(default_factory=list)
  fixes: list[str] = dataclasses.field(default_factory=list)
  counts: list[str] = dataclasses.field(default_factory=list)  # Unlike the published.
  lacking: list[str] = dataclasses.field(default_factory=list)  # subject/clip.
  failure: str = ""  # Why there are no records, where there are none.


def print_outcomes(outcomes: list[Outcome], absent: list[str]) -> int:
  """Says what was taken, lists problems on stderr, then prints the table.

  Args:
    outcomes: of the databases that were found.
    absent: keys of those that were not, where all were wanted.

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
