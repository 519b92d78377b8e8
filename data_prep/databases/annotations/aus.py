"""Action units in an annotation's text."""

import re

from data_prep.databases.annotations.cells import cell_text, shown

MOST_TEXT = 300  # Characters of the text; seven AUs with sides and marks have 60.
MOST_DIGITS = 2  # FACS numbers its units and descriptors up to 98.


def parse_aus(text: object) -> dict[int, bool]:
  """AU numbers in a text such as `R12 + L14B`, each with its (k) mark.

  The rule of CD6ME: the text is split at `+` and each part's digits are its AU, so that
  side, intensity (`10A/B`, `A/L12`) and `ref(x)` do not matter; a part without digits
  (`?`, words, nothing) is no AU. A mark `(k)` says that the coders were unsure.

  Raises:
    ValueError: a part that holds several numbers or a longer one, which that rule would
      join into an AU that nobody coded.
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
