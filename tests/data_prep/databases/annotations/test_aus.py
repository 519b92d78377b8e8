"""AU text as the coders of the six databases write it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.databases.annotations.aus import parse_aus


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("R12 + R15", {12: False, 15: False}),
    ("L14", {14: False}),
    ("R14A", {14: False}),
    ("4+R7B", {4: False, 7: False}),
    ("AU1+AU2(k)", {1: False, 2: True}),
    ("AU4 (k) + L7( K )", {4: True, 7: True}),
    ("12 ref(x)", {12: False}),
    ("ref(12)", {12: False}),
    ("4", {4: False}),
    (4, {4: False}),
    (4.0, {4: False}),
    ("4.0", {4: False}),
    ("4.0 + 7", {4: False, 7: False}),
    ("?", {}),
    ("", {}),
    (None, {}),
    ("  / ", {}),
    ("L4+R4(k)", {4: True}),
    # The rows that were once refused: slashes between letters, parts without numbers.
    ("10A/B", {10: False}),
    ("A/L12", {12: False}),
    ("R12A/B + L/R15", {12: False, 15: False}),
    ("4+", {4: False}),
    ("4+?", {4: False}),
    ("14 + smile + ", {14: False}),
    ("happy", {}),
  ],
)
def test_au_spellings(text, expected):
  assert parse_aus(text) == expected


@pytest.mark.parametrize(
  "text", ["4/7", "12,4", "2014-01-02", "4.7", "123", "9" * 5000, "4+" * 200 + "4"]
)
def test_text_that_would_become_an_au_that_nobody_coded_is_refused(text):
  with pytest.raises(ValueError, match="AU text") as caught:
    parse_aus(text)
  assert len(str(caught.value)) < 250


@settings(deadline=None, max_examples=50)
@given(
  st.lists(
    st.tuples(
      st.sampled_from(["", "L", "R", "AU", "au", "A/L"]),
      st.integers(1, 64),
      st.sampled_from(["", "A", "E", " ", "A/B"]),
      st.booleans(),
    ),
    min_size=1,
    unique_by=lambda part: part[1],
  ),
  st.sampled_from(["+", " + "]),
)
def test_any_side_and_intensity_keeps_the_number(parts, plus):
  parts = parts[:20]
  text = plus.join(f"{a}{n}{b}{'(k)' if k else ''}" for a, n, b, k in parts)
  assert parse_aus(text) == {n: k for _, n, _, k in parts}
