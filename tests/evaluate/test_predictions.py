import csv
import dataclasses
import os

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from infusenet_jax.evaluate.predictions import (
  COLUMNS,
  DATA,
  Predictions,
  read_predictions,
  write_predictions,
)
from infusenet_jax.runtime.errors import UserError

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


def predictions_of(clips, seed=45, **changes):
  rng = np.random.default_rng(seed)
  count = len(clips)
  fields = {
    "database": np.array(["samm"] * count),
    "subject": np.array(["006"] * count),
    "clip": np.array(clips),
    "fold": np.array(["samm"] * count),
    "seed": np.full(count, seed),
    "logits": rng.normal(size=(count, 12)).astype(np.float32),
    "labels": rng.integers(0, 2, (count, 12)).astype(np.uint8),
  }
  return Predictions(**fields | changes)


def assert_equal(found, expected):
  for field in dataclasses.fields(Predictions):
    np.testing.assert_array_equal(
      getattr(found, field.name), getattr(expected, field.name)
    )


@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(clips=st.lists(TEXT, min_size=1, max_size=4), simulated=st.booleans())
def test_reads_what_it_wrote(tmp_path_factory, clips, simulated):
  path = tmp_path_factory.mktemp("csv") / "predictions.csv"
  written = predictions_of(clips, simulated=simulated)
  write_predictions(path, written)
  found = read_predictions([path])
  assert found.logits.astype(np.float32).tobytes() == written.logits.tobytes()
  assert_equal(dataclasses.replace(found, logits=written.logits), written)


def test_files_are_put_together(tmp_path):
  parts = [predictions_of(["a", "b"], seed) for seed in (45, 46)]
  for part in parts:
    write_predictions(tmp_path / f"{part.seed[0]}.csv", part)
  found = read_predictions([tmp_path / "45.csv", tmp_path / "46.csv"])
  assert found.seed.tolist() == [45, 45, 46, 46]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
  path = tmp_path / "predictions.csv"
  write_predictions(path, predictions_of(["a"]))
  before = path.read_bytes()

  def fail(*_):
    raise OSError("disk full")

  monkeypatch.setattr(os, "replace", fail)
  with pytest.raises(UserError, match=r"predictions\.csv: .*disk full"):
    write_predictions(path, predictions_of(["b"]))
  assert path.read_bytes() == before


def test_diverged_logits_are_not_written(tmp_path):
  bad = predictions_of(["a", "b"], logits=np.full((2, 12), np.nan))
  with pytest.raises(UserError, match=r"2 of 2 clips are not finite.*diverged"):
    write_predictions(tmp_path / "predictions.csv", bad)
  assert not list(tmp_path.iterdir())


def test_arrays_must_fit_together():
  with pytest.raises(ValueError, match=r"logits is \(2, 3\); expected \(2, 12\)"):
    predictions_of(["a", "b"], logits=np.zeros((2, 3)))
  with pytest.raises(ValueError, match=r"fold is \(1,\); expected \(2,\)"):
    predictions_of(["a", "b"], fold=np.array(["samm"]))


HEADER = [*COLUMNS, "data"]
LINE = ["samm", "6", "a", "samm", "45", *["0.5"] * 12, *["1"] * 12, "licensed"]


def changed(column, value):
  line = list(LINE)
  line[HEADER.index(column)] = value
  return [HEADER, LINE, line]


@pytest.mark.parametrize(
  ("lines", "message"),
  [
    ([], "line 1 lacks the column database, subject, clip and 26 more"),
    ([COLUMNS[:-1], LINE[:-2]], "line 1 lacks the column label_AU17;"),
    ([HEADER], "holds no predictions"),
    ([HEADER, LINE, LINE[:-1]], "line 3: has more or fewer values"),
    ([HEADER, [*LINE, "1"]], "line 2: has more or fewer values"),
    (changed("database", "ck+"), "line 3: database is 'ck.'; expected one of casme"),
    (changed("database", "casme_ii"), "line 3: database is 'casme_ii'; expected one"),
    (changed("clip", ""), "line 3: clip is empty"),
    (changed("seed", "x"), "line 3: seed is 'x'; expected a whole number"),
    (changed("logit_AU4", "nan"), "line 3: logit_AU4 is 'nan'; expected a finite"),
    (changed("logit_AU4", "high"), "line 3: logit_AU4 is 'high'"),
    (changed("label_AU9", "2"), "line 3: label_AU9 is '2'; expected 0 or 1"),
    (
      changed("data", "Simulated"),
      "line 3: data is 'Simulated'; expected sim",
    ),
    (changed("data", ""), "line 3: no column data says .* --data simulated or"),
    ([COLUMNS, LINE[:-1]], "line 2: no column data says whether .* --data licensed"),
  ],
)
def test_bad_files_are_named_with_their_line(tmp_path, lines, message):
  path = tmp_path / "theirs.csv"
  path.write_text("\n".join(",".join(line) for line in lines))
  with pytest.raises(UserError, match=rf"theirs\.csv[:,] .*{message}") as raised:
    read_predictions([path])
  assert "\n" not in str(raised.value)


def test_no_files_are_one_line():
  with pytest.raises(UserError, match=r"no predictions\.csv was found") as raised:
    read_predictions([])
  assert "\n" not in str(raised.value)


def test_files_that_are_no_csv(tmp_path):
  with pytest.raises(UserError, match=r"absent\.csv: cannot be read"):
    read_predictions([tmp_path / "absent.csv"])
  with pytest.raises(UserError, match="cannot be read"):
    read_predictions([tmp_path])
  (tmp_path / "sheet.xlsx").write_bytes(b"PK\x03\x04\xff\xfe\x00")
  with pytest.raises(UserError, match=r"sheet\.xlsx: is not a CSV file in UTF-8"):
    read_predictions([tmp_path / "sheet.xlsx"])


def test_a_spreadsheets_byte_order_mark_and_column_order_are_fine(tmp_path):
  path = tmp_path / "theirs.csv"
  text = "\n".join(",".join(reversed(line)) for line in (HEADER, LINE))
  path.write_text(text, encoding="utf-8-sig")
  assert read_predictions([path]).clip.tolist() == ["a"]


@pytest.mark.parametrize("data", DATA)
def test_what_a_file_does_not_say_is_declared_by_its_reader(tmp_path, data):
  path = tmp_path / "theirs.csv"
  path.write_text("\n".join(",".join(line) for line in (COLUMNS, LINE[:-1])))
  found = read_predictions([path], data)
  assert found.declared and found.simulated == (data == "simulated")
  # What a file says itself counts, whatever its reader thinks.
  path.write_text("\n".join(",".join(line) for line in (HEADER, LINE)))
  found = read_predictions([path], data)
  assert not found.declared and not found.simulated


@pytest.mark.parametrize(
  "name", ["=1+1", "+a", "-a", "@sum", "'=1", "''@", "'plain", "a"]
)
def test_no_field_is_a_formula_and_each_is_read_back(tmp_path, name):
  path = tmp_path / "predictions.csv"
  write_predictions(path, predictions_of([name], subject=np.array([name])))
  with path.open(newline="") as file:
    (row,) = csv.DictReader(file)
  assert not row["clip"].startswith(("=", "+", "-", "@"))
  assert read_predictions([path]).clip.tolist() == [name]
