"""The tutorial and the examples of docs/extending.md run as they stand."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from infusenet_jax.evaluate.predictions import read_predictions
from infusenet_jax.models import baselines
from infusenet_jax.training.engine import config as config_checks
from infusenet_jax.training.engine import network
from infusenet_jax.training.run import Records, train_and_evaluate
from tests.conftest import make_clips

DOCS = Path(__file__).parents[1] / "docs"
EXTENDING = (DOCS / "extending.md").read_text(encoding="utf-8")


def tutorial_cells(kind: str) -> list[dict]:
  notebook = json.loads((DOCS / "tutorial.ipynb").read_text(encoding="utf-8"))
  return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_what_the_tutorial_shows_is_labelled_simulated():
  shown = [output for cell in tutorial_cells("code") for output in cell["outputs"]]
  assert len(shown) == 5
  for output in shown:
    assert "simulated" in json.dumps(output)
  assert (DOCS / "tutorial.ipynb").stat().st_size < 100_000


@pytest.mark.parametrize("page", ["docs/extending.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_are_there(page):
  text = (DOCS.parent / page).read_text(encoding="utf-8")
  names = re.findall(r"`([\w./]+/[\w./]*|[\w./]+\.(?:py|toml|cfg|md))`", text)
  assert len(names) > 5
  # Within a table's row or a sentence, a path may be short for one in the package.
  roots = [DOCS.parent, *(DOCS.parent / "infusenet_jax" / r for r in ("", "training"))]
  for name in set(names) - {"utils.py", "UserError", ".pytest_cache/xla"}:
    assert any((root / name).exists() for root in roots), name


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  code = "\n".join("".join(cell["source"]) for cell in tutorial_cells("code"))
  for size in ("SCALE = 0.03", "EPOCHS = 60"):
    assert code.count(size) == 1
  space = {}
  exec(code.replace("SCALE = 0.03", "SCALE = 0.02").replace("= 60", "= 2"), space)
  assert space["tables"].databases == ("casme2", "samm")
  predictions = read_predictions(["tutorial/predictions.csv"])
  assert predictions.simulated and len(predictions) == sum(space["tables"].clips)


def example(heading: str) -> str:
  """The first Python example below a heading of docs/extending.md."""
  section = EXTENDING[EXTENDING.index(f"\n## {heading}\n") :]
  return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


@pytest.mark.slow
def test_the_example_of_a_network_trains(tiny_config, tmp_path, monkeypatch):
  space = vars(baselines).copy()
  exec(example("A network"), space)
  monkeypatch.setitem(baselines.BASELINES, "my_net", space["MyNet"])
  for module in (config_checks, network):
    for names in ("FLOW_ONLY", "FIXED_SIZE"):
      monkeypatch.setattr(module, names, (*getattr(module, names), "my_net"))
  tiny_config.model.name = "my_net"
  clips = make_clips(60)
  records = Records(clips, dict.fromkeys(clips.database.tolist(), "noise"))
  results = train_and_evaluate(tiny_config, tmp_path / "run", lambda config: records)
  assert "simulated data" in results.text()
  assert (tmp_path / "run/report.html").exists()


def test_the_example_of_a_baseline_is_scored(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr("infusenet_jax.clips.records.load_clips", lambda *_: make_clips())
  exec(example("A baseline that is no network"), {})
  predictions = read_predictions(["nearest.csv"])
  assert len(predictions) == 30 and predictions.simulated
  assert np.array_equal(predictions.fold, predictions.database)
