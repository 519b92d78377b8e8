"""Reads the action units in an annotation's text."""

import re

from data_prep.databases.annotations.cells import cell_text, shown

MOST_TEXT = 300  # Characters of the text; seven AUs with sides and marks take 60.
MOST_DIGITS = 2  # Digits of an AU; FACS has numbers up to 98.


def parse_aus(text: object) -> dict[int, bool]:
  """Reads the AU numbers in a text such as `R12 + L14B`.

  The rule is that of CD6ME: the text is split at `+`, and the digits of each part are
  its AU, so that side, intensity (`10A/B`, `A/L12`) and `ref(x)` do not matter. A part
  without digits (`?`, words, nothing) is no AU.

  Returns:
    {AU: whether it has the mark `(k)`, which says that the coders were unsure}.

  Raises:
    ValueError: a part holds several numbers or one of more than two digits, from which
      the rule would make an AU that nobody coded.
  """
  aus: dict[int, bool] = {}
  if len(cell_text(text)) > MOST_TEXT:
    raise ValueError(f"AU text {shown(text)} is too long to be AUs")
  for part in cell_text(text).split("+"):
    part = cell_text(part)
    numbers = re.findall(r"(?a)\d+", part)
    if not numbers:
      continue
    if len(numbers) > 1 or len(numbers[0].lstrip("0")) > MOST_DIGITS:
      raise ValueError(
        f"AU text {shown(text)}: {shown(part)} is not one AU; put a + between AUs, as"
        " in 4+7"
      )
    number = int(numbers[0])
    unsure = re.search(r"\(\s*k\s*\)", part.lower()) is not None
    aus[number] = unsure or aus.get(number, False)
  return aus
