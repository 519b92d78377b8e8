import pytest

from infusenet_jax.runtime.text import duration, markdown_table, text_table

ROWS = [("database", "clips", ""), ("CASME II", 256, "kept"), ("SAMM", 1234567, "")]


@pytest.mark.parametrize(
  ("seconds", "words"),
  [(119, "119 s"), (120, "2 min"), (7200, "2.0 h"), (172800, "2.0 days")],
)
def test_durations_in_words(seconds, words):
  assert duration(seconds) == words


def test_a_terminals_columns_line_up():
  assert text_table(ROWS).splitlines() == [
    "database    clips",
    "CASME II      256  kept",
    "SAMM      1234567",
  ]


def test_dashes_are_as_long_as_the_heading():
  heading, dashes, *lines = text_table(ROWS, underlined=True).splitlines()
  assert dashes == "-" * len(heading)
  assert [heading, *lines] == text_table(ROWS).splitlines()


def test_a_message_in_place_of_cells_does_not_widen_columns():
  rows = [("step", "ms"), ("a message longer than a step",), ("train", "12.5")]
  assert text_table(rows).splitlines() == [
    "step     ms",
    "a message longer than a step",
    "train  12.5",
  ]


def test_markdowns_columns_line_up_numbers_to_the_right():
  assert markdown_table(ROWS).splitlines() == [
    "| database |   clips |      |",
    "| -------- | ------: | ---: |",
    "| CASME II |     256 | kept |",
    "| SAMM     | 1234567 |      |",
  ]
  assert markdown_table(ROWS, numbers=False).splitlines() == [
    "| database | clips   |      |",
    "| -------- | ------- | ---- |",
    "| CASME II | 256     | kept |",
    "| SAMM     | 1234567 |      |",
  ]


def test_a_bar_in_a_cell_makes_no_column():
  heading, dashes, line = markdown_table([("run", "F1"), ("a|b", 1)]).splitlines()
  assert line == r"| a\|b |   1 |"
  assert len(heading) == len(dashes) == len(line)
