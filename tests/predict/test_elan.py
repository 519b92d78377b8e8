"""Intervals go to ELAN and come back, in each form in which ELAN exports them."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

from infusenet_jax.predict.elan import from_elan, to_elan
from infusenet_jax.predict.findings import SIMULATED_WEIGHTS
from infusenet_jax.predict.given import read_intervals, to_spots
from infusenet_jax.runtime.errors import UserError
from tests.predict.reports import make_frames, make_interval, make_report


def rows(text):
  return [line.split("\t") for line in text.splitlines()]


def at(frames, *numbers, **fields):
  """An interval of these frames."""
  onset, apex, offset = (int(np.searchsorted(frames.number, n)) for n in numbers)
  times = zip(("onset", "apex", "offset"), numbers, (onset, apex, offset), strict=True)
  for name, number, row in times:
    fields |= {name: number, f"{name}_seconds": float(frames.seconds[row])}
  return dataclasses.replace(make_interval(frames, 0), **fields)


def back(text, frames, tmp_path, name="elan.txt"):
  path = tmp_path / name
  path.write_text(text, encoding="utf-8")
  spots = to_spots(read_intervals(path).of("any.mp4"), frames)
  return [tuple(frames.number[[s.onset, s.apex, s.offset]].tolist()) for s in spots]


def exported(text, columns):
  """What ELAN makes of its import: other times, a column for participants."""
  lines = []
  for tier, begin, end, words in rows(text):
    times = [float(begin), float(end), float(end) - float(begin)]
    cells = [tier, ""] if "participant" in columns else [tier]
    for seconds in times[: 3 if "duration" in columns else 2]:
      ms = round(1000 * seconds)
      clock = f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}"
      forms = {"clock": f"{clock}.{ms % 1000:03d}", "ss": str(ms / 1000), "ms": str(ms)}
      cells += [form for name, form in forms.items() if name in columns]
    lines.append("\t".join([*cells, words]))
  return "\n".join(lines) + "\n"


FORMS = ["clock ss duration participant", "ms", "clock", "ss", "ms duration"]


@pytest.mark.parametrize("form", ["ours", *FORMS])
@pytest.mark.parametrize("fps", [25, 60, 200, 240])
def test_what_is_written_comes_back(form, fps, tmp_path):
  frames = make_frames(400, fps=fps, first=7)
  numbers = [(7, 9, 20), (20, 20, 31), (25, 30, 40), (50, 50, 50), (390, 406, 406)]
  found = [at(frames, *one) for one in numbers]
  text = to_elan(make_report(frames=frames, intervals=found))
  assert back(
    text if form == "ours" else exported(text, form), frames, tmp_path
  ) == sorted(numbers)


def test_tiers_and_words():
  report = make_report()
  blink = make_interval(report.frames, 300, "blink")
  report = dataclasses.replace(report, blinks=[blink], model={"simulated": True})
  found = rows(to_elan(report))
  assert found[0] == ["weights", "0.000", "10.000", SIMULATED_WEIGHTS]
  assert found[1][:3] == ["expressions", "1.000", "1.200"]
  assert found[1][3].split()[0] == "AU09"
  assert ["apex", "1.080", "1.090", "apex"] in found
  assert ["AU17", "1.000", "1.200", "chin raiser 0.95"] in found
  assert found[-1] == ["blinks", "3.000", "3.200", "blink"]
  real = to_elan(dataclasses.replace(report, model={}))
  assert SIMULATED_WEIGHTS not in real


def test_annotations_of_a_tier_do_not_overlap():
  """ELAN would move their ends without a word."""
  frames = make_frames(100)
  numbers = [(0, 5, 30), (10, 12, 20), (15, 16, 40), (31, 31, 31)]
  found = [at(frames, *one) for one in numbers]
  by_tier = {}
  for tier, begin, end, _ in rows(to_elan(make_report(frames=frames, intervals=found))):
    by_tier.setdefault(tier, []).append((float(begin), float(end)))
  assert {"expressions", "expressions 2", "expressions 3"} < by_tier.keys()
  for spans in by_tier.values():
    assert all(begin < end for begin, end in spans)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(sorted(spans)))


def test_elan_guesses_separator_and_format_of_times():
  """It counts separators in the first ten lines; a point tells seconds."""
  lines = to_elan(make_report(model={"simulated": True})).splitlines()[:10]
  for other in ";:,|":
    assert all(line.count("\t") == 3 > line.count(other) for line in lines)
  times = [time for row in rows("\n".join(lines)) for time in row[1:3]]
  assert all(re.fullmatch(r"\d+\.\d{3}", time) for time in times)


def test_a_column_per_tier(tmp_path):
  text = (
    '"#file:///C:/ben.mp4 -- offset: 0"\n'
    "Temps de départ - ss.msec\ttemps de fin - ss.msec\tDurée - ss.msec"
    "\texpressions\tapex\n"
    "1.0\t1.2\t0.2\tAU12\t\n"
    "1.08\t1.09\t0.01\t\tx\n"
    "3.5\t4.0\t0.5\tAU04\t\n\n"
  )
  frames = make_frames(1000)
  first, second = back(text, frames, tmp_path)
  assert first == (100, 108, 120) and second[::2] == (350, 400)
  commas = text.replace("\t", ",")
  assert back(commas, frames, tmp_path, "elan.csv") == [first, second]


def test_an_apex_that_was_not_marked(tmp_path):
  text = "expressions\t0.100\t0.200\tAU12\nblinks\t0.500\t0.600\tblink\n"
  frames = make_frames(100)
  assert back(text, frames, tmp_path) == [(10, 15, 20)]
  path = np.zeros((100, 24, 2), np.float32)
  path[10:21, 3, 1] = [0, 1, 2, 4, 3, 2, 2, 1, 1, 0, 0]
  moving = dataclasses.replace(frames, path=path)
  assert back(text, moving, tmp_path) == [(10, 13, 20)]
  path[:] = np.nan
  assert back(text, moving, tmp_path) == [(10, 15, 20)]


def test_the_only_tier_of_ones_own_counts(tmp_path):
  text = "smile\t0.100\t0.200\tx\nAPEX\t0.130\t0.160\t-\nAU12\t0.0\t1.0\t-\n"
  assert back(text, make_frames(100), tmp_path) == [(10, 14, 20)]


@pytest.mark.parametrize(
  ("text", "reason"),
  [
    ("a\t0.1\t0.2\tx\nb\t0.1\t0.2\tx\n", "has the tiers a, b; expected one"),
    ("AU12\t0.1\t0.2\tx\n", "has the tiers AU12; expected one called expressions"),
    ("expressions\t0.2\t0.1\tx\n", r"annotation 1: from 0\.200 to 0\.100 s; expected"),
    ("expressions\t0.2\t9.1\tx\n", r"within the video's 0\.990 s"),
    ("a\tb\tc\n1\tx\ty\n", "lacks the column onset, apex, offset; .* export of ELAN's"),
  ],
)
def test_exports_that_are_refused_in_one_line(text, reason, tmp_path):
  with pytest.raises(UserError, match=reason) as refusal:
    back(text, make_frames(100), tmp_path)
  assert "\n" not in str(refusal.value) and "elan.txt" in str(refusal.value)


def test_what_is_no_export(tmp_path):
  for text in ("", "\n", "onset,apex\n1,2\n", "x\ty\n"):
    assert from_elan(text, tmp_path) is None
