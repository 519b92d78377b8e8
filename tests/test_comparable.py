"""docs/comparable.md names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "comparable.md").read_text(encoding="utf-8")


def test_every_row_names_a_test_that_there_is():
  rows = re.findall(r"^\| .*\|$", TEXT.split("## What cannot")[0], re.MULTILINE)[1:]
  assert len(rows) > 15
  for row in rows:
    names = re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", row.split("|")[-2])
    assert names, row
    path = ""
    for file, function in names:
      path = file or path
      source = (ROOT / path).read_text(encoding="utf-8")
      assert not function or f"def {function}(" in source, (path, function)
