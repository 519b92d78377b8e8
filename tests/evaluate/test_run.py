"""Finished runs, opened again: rewritten, compared and put into LaTeX."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from infusenet_jax.clips import records
from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.evaluate import run as of_run
from infusenet_jax.evaluate.__main__ import main
from infusenet_jax.evaluate.pictures import may_show
from infusenet_jax.evaluate.predictions import Predictions, write_predictions
from infusenet_jax.evaluate.report.page import holds_pictures
from infusenet_jax.evaluate.run import (
  WRITTEN,
  fingerprints,
  open_run,
  stored_pictures,
)
from infusenet_jax.runtime.configs import shipped
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.run_files import fold_folder
from infusenet_jax.runtime.workdir import config_differences
from tests.conftest import make_clips

SEEDS = (45, 46)


def make_run(folder, skill=2.0):
  """A finished run of the quickstart as main leaves it, but for its tables."""
  config = shipped("quickstart").get_config()
  config.seeds = SEEDS
  config.simulated.dir = str(folder / "nowhere")
  folder.mkdir(parents=True)
  (folder / "config.json").write_text(config.to_json_best_effort())
  prints = dict.fromkeys(DATABASES, "0123abc")
  (folder / "records.json").write_text(json.dumps(prints))
  labels = (np.arange(8 * 12).reshape(8, 12) % 5 == 0).astype(np.uint8)
  for seed in SEEDS:
    for number, key in enumerate(DATABASES):
      rng = np.random.default_rng([seed, number])
      own = fold_folder(folder, seed, key)
      write_predictions(
        own / "predictions.csv",
        Predictions(
          *(np.full(8, key), np.repeat(["a", "b"], 4)),
          *(np.array([f"clip{i}" for i in range(8)]), np.full(8, key)),
          *(np.full(8, seed), rng.normal(size=labels.shape) + skill * labels - 1),
          labels,
          simulated=True,
        ),
      )
      (own / "losses.csv").write_text("epoch,loss\n1,0.5\n2,0.25\n")
  return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("runs")
  return [make_run(folder / "good", 4.0), make_run(folder / "poor", 1.0)]


@pytest.fixture(scope="module")
def rewritten(runs):
  main(["--run", str(runs[0]), "--latex"])
  return runs[0]


def test_a_run_is_written_again_from_its_folder(rewritten, runs, capsys, caplog):
  names = ("report.html", "results.json", "results.md", "predictions.csv")
  before = {name: (rewritten / name).read_bytes() for name in names}
  assert b"Learning curves" in before["report.html"]
  for name in names:
    (rewritten / name).unlink()
  main(["--run", str(rewritten)])
  assert capsys.readouterr().out.startswith("InfuseNet, quickstart (simulated data)\n")
  assert {name: (rewritten / name).read_bytes() for name in names} == before
  assert "no records are there any more; the report goes without" in caplog.text


def test_what_was_deleted_of_a_finished_run_comes_back(rewritten):
  results = open_run(rewritten)
  before = {name: (rewritten / name).stat().st_mtime_ns for name in WRITTEN}
  results.write_missing()
  assert before == {name: (rewritten / name).stat().st_mtime_ns for name in WRITTEN}
  (rewritten / "report.html").unlink()
  results.write_missing()
  assert (rewritten / "report.html").exists()


def test_pictures_come_from_the_runs_own_records_alone(tmp_path, monkeypatch, caplog):
  run = make_run(tmp_path / "run")
  monkeypatch.setattr(records, "load_clips", lambda *_: make_clips())
  for key in DATABASES:
    folder = tmp_path / "run" / "nowhere" / "records-112" / key / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    metadata = {"simulated": True, "fingerprint": "0123abc"}
    (folder / "metadata.json").write_text(json.dumps(metadata))
  pictures = stored_pictures(open_run(run))
  assert [sample.database for sample in pictures.samples] == list(DATABASES)
  clips = make_clips()
  onset, apex = pictures.faces["samm", "s0", "clip2"]
  np.testing.assert_array_equal((onset, apex), (clips.onset[2], clips.apex[2]))
  metadata["fingerprint"] = "other"
  (folder / "metadata.json").write_text(json.dumps(metadata))
  assert stored_pictures(open_run(run)) is None
  assert "holds other records than the run's; the report goes without" in caplog.text


def test_a_report_is_written_without_pictures_where_that_is_wanted(
  tmp_path, monkeypatch, caplog
):
  caplog.set_level("INFO")
  run = make_run(tmp_path / "run")
  monkeypatch.setattr(records, "load_clips", lambda *_: make_clips())
  monkeypatch.setattr(of_run, "records_identity", lambda *_: fingerprints(run))
  monkeypatch.setattr(of_run, "prepared_databases", lambda *_: {"samm": tmp_path})
  with pytest.raises(UserError, match="--no-pictures belongs to --run"):
    main(["--compare", str(run), str(run), "--no-pictures"])
  main(["--run", str(run)])
  assert holds_pictures(run / "report.html")
  main(["--run", str(run), "--no-pictures", "--out", str(tmp_path / "out")])
  assert not holds_pictures(tmp_path / "out" / "report.html")
  # A finished run that is given again with another config.report.
  results = open_run(run)
  results.write_missing()
  assert holds_pictures(run / "report.html")
  results.about.config.report.pictures = False
  results.write_missing()
  assert not holds_pictures(run / "report.html")
  assert "report.html without pictures" in caplog.text


def test_runs_from_before_a_report_had_settings_are_read(tmp_path):
  run = make_run(tmp_path / "run")
  kept = json.loads((run / "config.json").read_text())
  del kept["report"]
  (run / "config.json").write_text(json.dumps(kept))
  assert may_show(open_run(run).about.config)
  config = shipped("quickstart").get_config()
  config.seeds, config.simulated.dir = SEEDS, str(run / "nowhere")
  assert "report" in config and config_differences(kept, config) == []


def test_what_a_run_ran_with_is_kept(rewritten, tmp_path):
  path = rewritten / "results.json"
  before = path.read_text()
  results = json.loads(before)
  path.write_text(json.dumps(results | {"versions": {"jax": "0.10.1"}}))
  main(["--run", str(rewritten), "--out", str(tmp_path)])
  path.write_text(before)
  assert json.loads((tmp_path / "results.json").read_text())["versions"] == {
    "jax": "0.10.1"
  }


def test_a_run_that_is_not_finished_is_refused(runs, tmp_path):
  part = make_run(tmp_path / "part")
  (fold_folder(part, 46, "samm") / "predictions.csv").unlink()
  with pytest.raises(UserError, match=r"not finished \(without seed 46 of samm\)"):
    main(["--run", str(part)])
  assert not (part / "results.md").exists()
  with pytest.raises(UserError, match=r"config\.json: cannot be read .*workdir of"):
    main(["--run", str(tmp_path)])


def test_runs_are_compared_with_the_first(runs, tmp_path, capsys):
  main(["--compare", *map(str, runs), "--out", str(tmp_path), "--latex"])
  printed = capsys.readouterr().out
  assert printed.startswith("# Comparison of runs (simulated data)\n")
  assert "difference: to good, paired" in printed
  found = json.loads((tmp_path / "comparison.json").read_text())
  poor = found["variants"]["poor"]["database"]["binary"]
  assert poor["difference"] < 0 and "difference" not in found["variants"]["good"]["au"]
  assert poor["difference_subject_low"] < poor["difference"]
  assert found["config"]["poor"]["train"]["epochs"] == 20
  text = (tmp_path / "au_table.tex").read_text()
  assert re.search(r"^ +good & .*\\textbf\{", text, re.MULTILINE)
  assert re.search(r"^ +poor & [\d. &]+ \$\\pm\$ [\d.]+ \\\\$", text, re.MULTILINE)


def test_runs_of_other_clips_and_of_one_name_are_not_compared(runs, tmp_path):
  with pytest.raises(UserError, match="two are called good"):
    main(["--compare", str(runs[0]), str(runs[0])])
  with pytest.raises(UserError, match="at least two runs"):
    main(["--compare", str(runs[0])])
  other = make_run(tmp_path / "other")
  for seed in SEEDS:
    path = fold_folder(other, seed, "samm") / "predictions.csv"
    path.write_text(path.read_text().replace("clip7", "clip8"))
  with pytest.raises(UserError, match=r"good and other differ: clip samm/b/clip7"):
    main(["--compare", str(runs[0]), str(other)])


def test_latex_says_where_its_numbers_come_from(rewritten):
  for name, columns in (("au", 13), ("database", 7)):
    text = (rewritten / f"{name}_table.tex").read_text()
    table, comments = text.split("\\end{table*}\n")
    assert rf"\begin{{tabular}}{{l*{{{columns}}}{{r}}}}" in table
    rows = [line for line in table.splitlines() if line.count(" & ")]
    assert all(row.count("&") == columns and row.endswith(r"\\") for row in rows)
    assert "simulated data" in table and "% " not in table.replace(r"\%", "")
    assert all(line.startswith("% ") for line in comments.splitlines())
    for part in ('"epochs": 20', '"numpy"', '"samm": "0123abc"'):
      assert part in comments
  results = json.loads((rewritten / "results.json").read_text())
  average = results["au_table"]["binary"]["Average"]["mean"]
  assert f"& {average:.1f} $\\pm$" in (rewritten / "au_table.tex").read_text()


def test_predictions_get_latex_too_and_their_title_is_text(runs, tmp_path):
  files = [str(path) for path in runs[0].glob("folds/seed45-*/predictions.csv")]
  given = ["--predictions", *files, "--title", "50 % & {more}_$"]
  with pytest.raises(UserError, match="name a folder for them with --out"):
    main([*given, "--latex"])
  main([*given, "--latex", "--out", str(tmp_path)])
  text = (tmp_path / "database_table.tex").read_text()
  assert r"50 \% \& \{more\}\_\$ & " in text and r"CAS(ME)\^3" not in text


def test_all_of_it_needs_no_jax(runs, tmp_path):
  code = (
    "import sys; from infusenet_jax.evaluate.__main__ import main; "
    "main(sys.argv[1:]); sys.exit('jax' in sys.modules)"
  )
  given = ["--run", str(runs[1]), "--out", str(tmp_path)]
  done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True)
  assert done.returncode == 0, done.stderr.decode()
