import csv
import dataclasses
import json
import re

import numpy as np
import pytest
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import AUS, DATABASES
from infusenet_jax.evaluate.documents import About
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.protocol import AVERAGES
from infusenet_jax.evaluate.scores import Scores, cd6me_tables
from infusenet_jax.evaluate.tables import format_tables, subject_intervals, write_tables

KEYS = ("casme2", "samm")


def make_predictions(seeds=(45,)):
  database = np.repeat(KEYS, 30)
  labels = (np.random.default_rng(0).random((60, 12)) < 0.3).astype(np.uint8)
  noise = [np.random.default_rng(seed).normal(size=(60, 12)) for seed in seeds]
  one_run = Predictions(
    database=database,
    subject=np.array([f"{i % 5}" for i in range(60)]),
    clip=np.array([f"clip{i:02d}" for i in range(60)]),
    fold=database,
    seed=np.zeros(60, int),
    logits=2.0 * labels - 1,
    labels=labels,
  )
  runs = one_run[np.tile(np.arange(60), len(seeds))]
  return dataclasses.replace(
    runs, seed=np.repeat(seeds, 60), logits=runs.logits + np.concatenate(noise)
  )


def about(simulated):
  config = ConfigDict({"train": {"epochs": 2}, "seeds": (45, 46)})
  return About("InfuseNet", simulated, config, {"jax": "1.2.3"})


@pytest.fixture(scope="module")
def tables():
  return cd6me_tables(make_predictions((45, 46)), resamples=50)


def write(workdir, tables, simulated):
  write_tables(workdir, tables, about(simulated))


def test_json_and_csv_hold_the_tables(tmp_path, tables):
  write(tmp_path / "new", tables, simulated=False)
  results = json.loads((tmp_path / "new/results.json").read_text())
  assert results["clips"] == {"casme2": 30, "samm": 30}
  assert (results["seed"], results["seeds"]) == (45, [45, 46])
  assert results["config"]["train"]["epochs"] == 2
  assert results["versions"] == {"jax": "1.2.3"}
  for table in ("au", "database"):
    with open(tmp_path / f"new/{table}_table.csv", newline="") as file:
      lines = list(csv.DictReader(file))
    for line in lines:
      assert line["seeds"] == "45 46"
      assert not {"config", "versions"} & line.keys()  # In results.json, once.
    for i, kind in enumerate(AVERAGES):
      scores = getattr(tables, table)[kind]
      size = len(scores.mean)
      mine = lines[i * size : (i + 1) * size]
      assert [float(line["mean"]) for line in mine] == [
        round(100 * value, 1) for value in scores.mean
      ]
      for line, cell in zip(mine, results[f"{table}_table"][kind].items(), strict=True):
        assert line[table] == cell[0] and line["f1"] == kind
        assert float(line["high"]) == pytest.approx(cell[1]["high"], abs=0.051)
        assert float(line["subject_low"]) == round(cell[1]["subject_low"], 1)
        assert float(line["always_positive"]) == round(cell[1]["always"], 1)
  assert results["detection"] == tables.detection.to_dict()
  fold = results["fold_table"]["macro"]["SAMM"]
  assert fold["AU17"] == pytest.approx(100 * tables.fold["macro"][1, 11], abs=1e-3)


def test_simulated_data_are_in_every_title(tmp_path, tables):
  write(tmp_path, tables, simulated=True)
  results = json.loads((tmp_path / "results.json").read_text())
  assert results["simulated"] is True and "simulated data" in results["title"]
  for name in ("au_table.csv", "database_table.csv"):
    with open(tmp_path / name, newline="") as file:
      assert all("simulated data" in line["title"] for line in csv.DictReader(file))
  lines = (tmp_path / "results.md").read_text().splitlines()
  headings = [line for line in lines if line.startswith("#")]
  assert len(headings) == 6
  assert all("simulated data" in heading for heading in headings)
  printed = format_tables(tables, about(simulated=True))
  assert printed.count("simulated data") == 3


def test_licensed_data_are_named_and_never_called_simulated(tmp_path, tables):
  write(tmp_path, tables, simulated=False)
  for path in tmp_path.iterdir():
    assert "simulated data" not in path.read_text()
  assert (
    (tmp_path / "results.md")
    .read_text()
    .startswith("# InfuseNet (CASME II, SAMM: 2 of 6 databases)")
  )


@pytest.mark.parametrize("seeds", [(45,), (45, 46)])
def test_a_terminal_shows_the_tables(seeds):
  tables = cd6me_tables(make_predictions(seeds), resamples=50)
  lines = format_tables(tables, about(simulated=True)).splitlines()
  assert all(len(line) < 80 for line in lines)
  assert sum(line.startswith("AU") for line in lines) == len(AUS) + 1
  average = next(line for line in lines if line.startswith("Average")).split()
  assert float(average[1]) == round(100 * tables.au["binary"].mean[-1], 1)
  assert (("±" in "".join(lines)) is True) == (len(seeds) > 1)
  place = next(i for i, line in enumerate(lines) if line.startswith("Average"))
  ends = [end for pair in subject_intervals(tables, "au")[-1].values() for end in pair]
  assert [float(x) for x in re.findall(r"[\d.]+", lines[place + 1])] == [
    round(end, 1) for end in ends
  ]
  brackets = [i for i, sign in enumerate(lines[place]) if sign in "[]"]
  assert [i for i, sign in enumerate(lines[place + 1]) if sign in "()"] == brackets


def test_the_printed_tables_are_as_ever(tables):
  """Scripts and papers cut these lines apart by their columns."""
  scores = {
    kind: Scores(*(np.full(13, x) for x in values))
    for kind, values in {
      "binary": (0.858, 0.0123, 0.827, 1.0),
      "macro": (0.0, 0.2, 0.0, 0.0994),
    }.items()
  }
  always = {kind: np.full(13, 0.202) for kind in AVERAGES}
  made = dataclasses.replace(
    tables, seeds=(45,), au=scores, always=tables.always | {"au": always}
  )
  lines = format_tables(made, about(simulated=True)).splitlines()
  assert lines[5:8] == [
    "AU table (simulated data)",
    "           binary F1                   macro F1",
    "            model            always+    model            always+",
  ]
  row = " 85.8 [ 82.7,100.0]   20.2    0.0 [  0.0,  9.9]   20.2"
  assert lines[8] == f"AU1        {row}" and lines[19] == f"AU17       {row}"
  assert lines[20:22] == ["-" * 63, f"Average    {row}"]
  several = dataclasses.replace(made, seeds=(45, 46))
  lines = format_tables(several, about(simulated=True)).splitlines()
  row = " 85.8 ± 1.2 [ 82.7,100.0]   20.2    0.0 ±20.0 [  0.0,  9.9]   20.2"
  assert lines[7] == (
    "            model                  always+    model                  always+"
  )
  assert lines[20:22] == ["-" * 75, f"Average    {row}"]


def test_fewer_databases_are_not_called_cd6me(tmp_path, tables):
  words = "2 of the 6 databases: not comparable with CD6ME results"
  write(tmp_path, tables, simulated=True)
  assert f"* {words}\n" in (tmp_path / "results.md").read_text()
  assert f"\n{words}\n" in format_tables(tables, about(simulated=True))
  predictions = make_predictions()
  keys = np.repeat(list(DATABASES), 10)
  six = dataclasses.replace(predictions, database=keys, fold=keys)
  whole = cd6me_tables(six, resamples=2)
  assert "CD6ME" not in format_tables(whole, about(simulated=True))


def test_subjects_left_out_are_not_called_cd6me():
  run = make_predictions()
  subjects = np.char.add(np.char.add(run.database, "/"), run.subject)
  inside = cd6me_tables(dataclasses.replace(run, fold=subjects), resamples=50)
  across = cd6me_tables(run, resamples=50)
  line = "folds are not one database each: not comparable with CD6ME results"
  assert line in format_tables(inside, about(simulated=False))
  assert line not in format_tables(across, about(simulated=False))


def test_markdown_holds_seeds_config_and_versions(tmp_path, tables):
  write(tmp_path, tables, simulated=True)
  text = (tmp_path / "results.md").read_text()
  assert "* F1 in percent; 60 clips, 2 runs (seeds 45, 46)\n" in text
  assert '"epochs": 2' in text and "* jax 1.2.3" in text
  average = f"{100 * tables.au['binary'].mean[-1]:.1f} ±"
  assert re.search(rf"^\| \*\*Average\*\* +\| +{average}", text, re.MULTILINE)


def test_empty_classes_have_a_score(tmp_path):
  predictions = make_predictions()
  nothing = dataclasses.replace(
    predictions,
    labels=np.zeros_like(predictions.labels),
    logits=-np.ones_like(predictions.logits),
  )
  write(tmp_path, cd6me_tables(nothing, resamples=10), simulated=True)
  results = json.loads((tmp_path / "results.json").read_text())
  assert results["au_table"]["binary"]["Average"]["mean"] == 0
  assert results["au_table"]["macro"]["Average"]["mean"] == 100


def test_databases_with_other_counts_than_published_are_named(tables):
  text = format_tables(tables, about(simulated=False))
  assert "CASME II: 30 of 256 clips, not comparable with CD6ME\n" in text
  assert "SAMM: 30 of 159 clips, not comparable" in text
  assert " clips, not comparable" not in format_tables(tables, about(simulated=True))
  counts = dataclasses.replace(tables, clips=(256, 159))
  assert " clips, not comparable" not in format_tables(counts, about(simulated=False))


@pytest.mark.parametrize("simulated", [True, False])
def test_every_title_says_that_the_data_were_declared(tmp_path, tables, simulated):
  declared = dataclasses.replace(about(simulated), declared=True)
  words = f"{'simulated' if simulated else 'licensed'} data, as declared"
  write_tables(tmp_path, tables, declared)
  lines = (tmp_path / "results.md").read_text().splitlines()
  assert all(words in line for line in lines if line.startswith("#"))
  assert format_tables(tables, declared).count(words) == 3


def test_nothing_in_a_title_is_formatting_or_a_formula(tmp_path, tables):
  evil = dataclasses.replace(about(True), title="=<b>*a*\n# [x](y) `z` | _w_")
  write_tables(tmp_path, tables, evil)
  title = (tmp_path / "results.md").read_text().splitlines()[0]
  assert title.startswith(r"# =&lt;b&gt;\*a\* # \[x\](y) \`z\` \| \_w\_ (simulated")
  for name in ("au_table.csv", "database_table.csv"):
    with (tmp_path / name).open(newline="") as file:
      assert all(row["title"].startswith("'=<b>") for row in csv.DictReader(file))
