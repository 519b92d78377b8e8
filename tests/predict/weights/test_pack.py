"""Packing what ships: the file, its card, and what does not belong together."""

import re
from pathlib import Path

import numpy as np
import pytest

from configs import shipped
from infusenet_jax.predict.weights import pack as module
from infusenet_jax.predict.weights.networks import SHIPPED, load_run
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine.config import check_config
from tests.predict.runs import small_config, train
from tests.predict.weights.test_networks import crops

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
  """A network trained on all clips, its twin, and another network."""
  folder = tmp_path_factory.mktemp("runs")
  train(small_config(protocol="all", name="small"), folder / "all")
  train(small_config(name="small-twin"), folder / "twin")
  return folder


def test_the_command_packs_a_calibrated_network_and_its_card(runs, tmp_path, capsys):
  arguments = [f"--run={runs / 'all'}", f"--calibration-run={runs / 'twin'}"]
  module.main([*arguments, f"--out={tmp_path / 'out'}"])
  assert "small.safetensors: 0." in capsys.readouterr().out
  file, card = sorted((tmp_path / "out").iterdir(), reverse=True)
  packed, given = load_run(file), crops(3)
  expected = load_run(runs / "all", calibrated_by=runs / "twin")
  np.testing.assert_allclose(
    packed.probabilities(**given), expected.probabilities(**given), atol=2e-3
  )
  assert packed.card["calibrated"] and packed.card["protocol"] == "all"
  text = card.read_text()
  assert "for trying out, not for conclusions" in text and "30 clips" in text
  headings = [line for line in text.splitlines() if line.startswith("#")]
  assert len(headings) == 3 and all("simulated data" in line for line in headings)
  figures = [line for line in text.splitlines() if re.search(r"F1|error", line)]
  assert len(figures) == 2 and all("simulated data" in line for line in figures)
  assert str(tmp_path) not in text and str(runs) not in text

  first = file.read_bytes()
  assert str(tmp_path).encode() not in first and str(runs).encode() not in first
  module.main([*arguments, f"--out={tmp_path / 'again'}"])
  assert (tmp_path / "again" / file.name).read_bytes() == first


def test_what_cannot_be_calibrated_is_not_packed(runs, tmp_path):
  with pytest.raises(UserError, match=r"all: left nothing out.*--calibration-run"):
    module.pack(runs / "all", None, tmp_path)
  other = train(small_config(name="other", decide_by="flow"), tmp_path / "other")
  with pytest.raises(UserError, match=r"other: is another network \(config\.decide_by"):
    module.pack(runs / "all", other, tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_a_file_that_is_too_large_is_not_left_behind(runs, tmp_path, monkeypatch):
  monkeypatch.setattr(module, "MOST_BYTES", 1000)
  with pytest.raises(UserError, match=r"expected at most 0\.001; train a narrower"):
    module.pack(runs / "twin", None, tmp_path)
  assert not list(tmp_path.glob("*"))


def test_the_config_that_ships_and_its_twin_are_the_same_network():
  whole, twin = shipped.get_config(), shipped.get_config("twin")
  for config in (whole, twin):
    check_config(config)
    config.name = config.protocol = ""
  assert whole == twin
  with pytest.raises(UserError, match="expected nothing or twin"):
    shipped.get_config("half")


def test_the_wheel_takes_the_weights_along():
  text = (ROOT / "setup.cfg").read_text()
  named = re.search(r"^infusenet_jax.predict.weights = (.*)$", text, re.M)[1]
  assert SHIPPED in SHIPPED.parent.glob(named)
  script = (ROOT / "launch" / "weights.sh").read_text()
  for name in re.findall(r"-m (\S+)", script):
    assert (ROOT / (name.replace(".", "/") + ".py")).is_file()
