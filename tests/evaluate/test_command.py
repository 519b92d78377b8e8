import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from infusenet_jax.clips.labels import AUS, DATABASES
from infusenet_jax.evaluate import __main__ as command
from infusenet_jax.evaluate.__main__ import main
from infusenet_jax.evaluate.predictions import (
  DATA,
  LABELS,
  LOGITS,
  TEXT,
  Predictions,
  write_predictions,
)
from infusenet_jax.runtime.errors import UserError


@pytest.fixture
def files(tmp_path):
  """Two runs' CSV files, one of which was trained on simulated clips."""
  database = np.repeat(list(DATABASES), 8)
  labels = (np.arange(48 * 12).reshape(48, 12) % 5 == 0).astype(np.uint8)
  paths = []
  for seed in (45, 46):
    logits = np.random.default_rng(seed).normal(size=labels.shape) + 2 * labels
    path = tmp_path / f"predictions_{seed}.csv"
    subject = np.array(["1"] * 48)
    clip = np.array([f"clip{i}" for i in range(48)])
    seeds = np.full(48, seed)
    write_predictions(
      path,
      Predictions(
        database, subject, clip, database, seeds, logits, labels, simulated=seed == 46
      ),
    )
    paths.append(str(path))
  return paths


def test_prints_and_writes_every_table(files, tmp_path, capsys):
  out = tmp_path / "out"
  main(["--predictions", *files, "--out", str(out), "--title", "Ours"])
  printed = capsys.readouterr().out
  assert printed.startswith("Ours (simulated data)\n")
  assert "always+" in printed and "2 runs (seeds 45, 46" in printed
  assert sorted(path.name for path in out.iterdir()) == [
    "au_table.csv",
    "database_table.csv",
    "report.html",
    "results.json",
    "results.md",
  ]
  results = json.loads((out / "results.json").read_text())
  assert results["title"] == "Ours (simulated data)"
  assert results["config"]["predictions"] == files


def test_licensed_data_are_named(files, capsys):
  main(["--predictions", files[0]])
  assert "(CASME, CASME II, SAMM, 4DME, MMEW, CAS(ME)^3)" in capsys.readouterr().out


def test_compares_with_another_model(files, capsys):
  main(["--predictions", files[0], "--against", files[1]])
  printed = capsys.readouterr().out.split("\n\n")[-1]
  assert printed.startswith("Predictions minus the others, same clips (simulated data)")
  assert printed.count(" points [") == 4 and "( ): over subjects" in printed


def test_scoring_needs_no_jax():
  code = "import sys, infusenet_jax.evaluate; sys.exit('jax' in sys.modules)"
  subprocess.run([sys.executable, "-c", code], check=True)


def test_a_bad_file_is_one_line_and_status_2(tmp_path):
  command = [sys.executable, "-m", "infusenet_jax.evaluate", "--predictions"]
  done = subprocess.run(
    [*command, str(tmp_path / "absent.csv")],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2
  assert done.stderr.count("\n") == 1 and "absent.csv: cannot be read" in done.stderr


def test_a_folder_that_cannot_be_written_is_named(files, tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match=r"--out=.*file: cannot be written"):
    main(["--predictions", files[0], "--out", str(tmp_path / "file")])


@pytest.mark.parametrize("where", ["help", "docs"])
def test_columns_are_named_for_other_teams(where):
  """Those that are read, and the names of the databases, AU numbers and data."""
  docs = Path(__file__).parents[2] / "docs" / "extending.md"
  text = command.__doc__ if where == "help" else docs.read_text(encoding="utf-8")
  words = set(re.findall(r"\w+", text))
  ends = {LOGITS[0], LOGITS[-1], LABELS[0], LABELS[-1]}
  assert words >= {*TEXT, "seed", *ends, "data", *DATA, *DATABASES}
  assert f"{', '.join(map(str, AUS[:-1]))} and {AUS[-1]}" in text
