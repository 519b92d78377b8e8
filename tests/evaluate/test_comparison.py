"""The tables of a study, from made-up predictions."""

import csv
import json

import numpy as np
import pytest

from infusenet_jax.evaluate.comparison import compared, write_study
from infusenet_jax.evaluate.documents import About
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.scores import cd6me_tables

TABLES = (
  ("All", (("InfuseNet", "ours"), ("theirs, unfinished", "absent"), ("SSSNet", "sss"))),
  ("Again", (("SSSNet", "sss"),)),
  ("Nobody's", (("theirs, unfinished", "absent"),)),
)


def predictions_of(wrong, seeds):
  """Two databases of 12 clips, one AU each; of `wrong` AUs all decisions are wrong."""
  labels = np.tile(np.eye(12, dtype=np.uint8), (2, 1))
  logits = 2.0 * labels - 1
  logits[:, :wrong] *= -1
  count, database = len(seeds), np.repeat(["casme2", "samm"], 12)
  return Predictions(
    database=np.tile(database, count),
    subject=np.array(["1"] * 24 * count),
    clip=np.tile([f"clip{i:02d}" for i in range(24)], count),
    fold=np.tile(database, count),
    seed=np.repeat(seeds, 24),
    logits=np.tile(logits, (count, 1)),
    labels=np.tile(labels, (count, 1)),
    simulated=True,
  )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
  folder = tmp_path_factory.mktemp("study")
  ours, theirs = (predictions_of(wrong, (45, 46)) for wrong in (3, 6))
  rows = {
    name: compared(cd6me_tables(found), found, theirs)
    for name, found in (("ours", ours), ("sss", theirs))
  }
  about = About("Study: models", True, {"study": {"name": "models"}}, {"jax": "1.2"})
  tables = {"tables": TABLES, "reference": "sss"}
  return folder, write_study(folder, "models", rows, about, **tables)


def test_the_markdown_lines_up_and_shows_the_highest_mean(study):
  folder, text = study
  lines = text.splitlines()
  assert lines[0] == "# Study: models (simulated data)"
  assert "difference: to sss, paired; bold: highest mean" in text
  assert [line for line in lines if line.startswith("##")] == [
    f"## {name}, {average} average (simulated data)"
    for name in ("All", "Again")
    for average in ("database", "AU")
  ]
  start = lines.index("## All, database average (simulated data)") + 2
  table = lines[start : start + 5]
  assert len({len(line) for line in table}) == 1
  cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
  assert cells[0][1:5] == [
    "binary F1 [clips] (subjects)",
    "macro F1 [clips] (subjects)",
    "AP",
    "binary difference [clips] (subjects)",
  ]
  assert cells[2][0] == "**InfuseNet**" and cells[2][1].startswith("75.0 ± 0.0 [")
  # Where all decisions are wrong, both positives follow after 22 others.
  assert cells[2][3] == f"{75 + 25 / 12:.1f}"
  assert cells[2][4].startswith("+25.0 [+")
  assert cells[3][0] == "SSSNet" and cells[3][4:] == ["", ""]
  assert cells[4] == ["always positive", "15.4", "7.7", "", "", ""]
  whole = (folder / "models.md").read_text()
  assert whole.startswith(text + "\n## Config and versions (simulated data)\n")
  assert whole.endswith("\n* jax 1.2\n")


def test_a_table_without_differences_has_no_columns_for_them(study):
  _, text = study
  again = text[text.index("## Again, AU average") :].splitlines()
  assert again[2].count("|") == 5


def test_json_and_csv_hold_the_same(study):
  folder, _ = study
  results = json.loads((folder / "models.json").read_text())
  assert results["title"] == "Study: models (simulated data)" and results["simulated"]
  assert results["tables"]["All"] == {"InfuseNet": "ours", "SSSNet": "sss"}
  assert set(results["tables"]) == {"All", "Again"}
  assert (results["seeds"], results["versions"]) == ([45, 46], {"jax": "1.2"})
  with (folder / "models.csv").open(newline="") as file:
    lines = list(csv.DictReader(file))
  assert len(lines) == 3 * 2 * 2
  for line in lines:
    assert line["title"] == results["title"] and line["seeds"] == "45 46"
    assert not {"config", "versions"} & line.keys()  # In models.json, once.
    table = line["average"].split()[0].lower()
    values = results["variants"][line["variant"]][table][line["f1"]]
    for key in ("mean", "std", "low", "high", "difference", "difference_subject_low"):
      shown = f"{values[key]:.1f}" if key in values else ""
      assert line[key] == shown


def test_a_csv_file_holds_every_au(study):
  folder, _ = study
  with (folder / "models-by-au.csv").open(newline="") as file:
    lines = list(csv.DictReader(file))
  assert [(line["variant"], line["measure"]) for line in lines] == [
    (name, measure)
    for name in ("ours", "sss")
    for measure in ("binary F1", "macro F1", "average precision")
  ]
  binary, macro, precision = lines[:3]
  assert {line["title"] for line in lines} == {"Study: models (simulated data)"}
  assert [binary[f"AU{au}"] for au in (1, 4, 5, 17)] == ["0.0", "0.0", "100.0", "100.0"]
  assert binary["average"] == "75.0" and macro["AU5"] == "100.0"
  assert precision["AU1"] == f"{100 / 12:.1f}" and precision["AU5"] == "100.0"
  assert binary["seeds"] == "45 46"


def test_the_precision_of_an_au_that_no_clip_shows_is_left_out():
  found = predictions_of(0, (45,))
  found.labels[:, 0] = 0
  row = compared(cd6me_tables(found), found, None)
  assert np.isnan(row.precisions[0]) and row.precisions[-1] == 100
  found.labels[:] = 0
  row = compared(cd6me_tables(found), found, None)
  tables = {"tables": TABLES, "reference": ""}
  text = write_study(None, "one", {"ours": row}, About("None", True, {}, {}), **tables)
  assert "nan" not in text


def test_without_a_reference_nothing_is_compared(tmp_path):
  found = predictions_of(3, (45,))
  rows = {"ours": compared(cd6me_tables(found), found, None)}
  about = About("Study: one", False, {}, {})
  text = write_study(tmp_path, "one", rows, about, tables=TABLES, reference="")
  assert text.startswith("# Study: one (CASME II, SAMM: 2 of 6 databases)\n")
  assert "±" not in text and "difference" not in text and "simulated" not in text
