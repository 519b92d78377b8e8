"""The file as somebody uses it who has JAX and nothing of this package."""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from jax import export

from infusenet_jax.clips.schema import FRAMES
from infusenet_jax.predict.export import command
from infusenet_jax.predict.export.artefact import PLATFORMS, loading
from infusenet_jax.predict.export.program import Program
from infusenet_jax.predict.findings import SIMULATED_WEIGHTS
from infusenet_jax.predict.weights.networks import shipped
from infusenet_jax.runtime.errors import UserError
from tests.predict.export.test_program import some_calibration
from tests.predict.runs import crops, drawn, small_config

ROOT = Path(__file__).parents[3]
# In a process that can import nothing of this project, nor what it is made with.
ALONE = """\
import sys
for name in ("infusenet_jax", "data_prep", "flax", "cv2", "optax", "orbax"):
  sys.modules[name] = None
import numpy as np
for count in %s:
  inputs = np.load(f"given{count}.npz")
  %s
  np.savez(f"found{count}.npz", **{k: np.asarray(v) for k, v in found.items()})
"""


def run_alone(folder: Path, lines: str, given: dict[str, np.ndarray], *counts: int):
  """What `lines` find of so many of the given clips, in a fresh process."""
  for count in counts:
    np.savez(folder / f"given{count}.npz", **{n: x[:count] for n, x in given.items()})
  # As a user who has arrays of these names.
  lines = re.sub(r"(\w+)=(\w+)([,)])", r"\1=inputs['\2']\3", lines)
  code = ALONE % (counts, lines.replace("\n", "\n  "))
  command = [sys.executable, "-I", "-c", code]
  done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  return [dict(np.load(folder / f"found{count}.npz")) for count in counts]


def lines_of(said: str) -> str:
  """The lines that the command says."""
  _, _, lines = said.partition("To use it:\n\n")
  return "".join(line[4:] for line in lines.splitlines(keepends=True))


def test_networks_of_a_run_in_a_process_without_this_package(tmp_path, capsys):
  config = small_config()
  run = tmp_path / "x.safetensors"
  networks = drawn(config, run, members=2, calibration=some_calibration())
  out = tmp_path / "new" / "model.stablehlo"
  assert command.main(["--run", str(run), "--out", str(out)]) == 0
  said = capsys.readouterr().out
  assert f"Written to {out}: 0.1 MB, 2 networks, calibrated;" in said
  assert SIMULATED_WEIGHTS in said
  given = crops(3)
  expected = networks.probabilities(**given)
  (found,) = run_alone(tmp_path, lines_of(said), {"flow": given["flow"]}, 3)
  np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
  assert found["logits"].shape == (3, 12)


@pytest.mark.slow
def test_the_networks_that_ship_in_a_process_without_this_package(tmp_path, capsys):
  out = tmp_path / "model.stablehlo"
  assert command.main(["--out", str(out)]) == 0
  given = crops(3, 112)
  one, three = run_alone(tmp_path, lines_of(capsys.readouterr().out), given, 1, 3)
  expected = shipped().probabilities(**given)
  np.testing.assert_allclose(one["probabilities"], expected[:1], atol=1e-5)
  np.testing.assert_allclose(three["probabilities"], expected, atol=1e-5)


def test_what_the_file_and_its_description_say(tmp_path):
  run, out = tmp_path / "x.safetensors", tmp_path / "model.stablehlo"
  drawn(small_config(), run)
  command.main(["--run", str(run), "--out", str(out)])
  model = export.deserialize(bytearray(out.read_bytes()))
  assert model.platforms == PLATFORMS
  assert model.fun_name == "action_units_trained_on_simulated_faces"
  assert str(model.in_avals[0].shape[0]) == "b"
  about = json.loads((tmp_path / "model.stablehlo.json").read_text())
  assert about["aus"][:2] == ["AU01 inner brow raiser", "AU02 outer brow raiser"]
  assert len(about["aus"]) == 12
  assert about["warning"] == SIMULATED_WEIGHTS and about["calibrated"] is False
  assert about["inputs"]["flow"]["shape"] == ["N", 48, 48, 2]
  assert about["crop"]["size"] == 48
  assert about["model"]["name"] == "drawn"


def test_too_many_networks_for_one_file(tmp_path, monkeypatch):
  from infusenet_jax.predict.export import artefact

  monkeypatch.setattr(artefact, "MOST_BYTES", 1000)
  run = tmp_path / "x.safetensors"
  drawn(small_config(), run)
  with pytest.raises(UserError, match=r"1 networks have .* export a run of fewer"):
    command.main(["--run", str(run), "--out", str(tmp_path / "model.stablehlo")])
  assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize(
  ("flags", "reason"),
  [
    (["--out", "model.pt"], "--out model.pt: ends in .pt; expected .stablehlo"),
    (["--out", "x.stablehlo"], "--out x.stablehlo: is a folder"),
    (["--run", "absent"], "absent"),
    (["--run"], "argument --run: expected one argument; --help"),
    (["model"], "unrecognized arguments: model; --help"),
  ],
)
def test_what_cannot_be_is_one_line(tmp_path, monkeypatch, flags, reason):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "x.stablehlo").mkdir()
  with pytest.raises(UserError) as refused:
    command.main(flags)
  assert reason in str(refused.value) and "\n" not in str(refused.value)


def test_the_document_has_the_lines_that_are_tested():
  text = (ROOT / "docs" / "export.md").read_text()
  program = Program(None, dict.fromkeys((*FRAMES, "flow")), 0)
  lines = loading(Path("model.stablehlo"), program)
  assert textwrap.indent(lines, "    ") in text
