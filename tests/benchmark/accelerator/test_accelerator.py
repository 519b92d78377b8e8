"""Every part of what an accelerator is asked, at tiny sizes on the CPU."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from infusenet_jax.benchmark.accelerator import bare, command, kernels, tables
from infusenet_jax.benchmark.accelerator.sizes import TINY, learnable_clips
from infusenet_jax.runtime.errors import UserError

PARTS = [part for part in command.PARTS if part != "peers" or find_spec("torch")]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
  """launch/measure.sh with no more packages than a lent machine has, and its output."""
  out = tmp_path_factory.mktemp("measured")
  python = out / "python"
  bare = f"{sys.executable} -m tests.benchmark.accelerator.bare"
  python.write_text(f'#!/bin/sh\nshift\nexec {bare} "$@"\n')
  python.chmod(0o755)
  env = os.environ | {"PYTHON": str(python), "TINY": "1", "LIMIT": "600"}
  run = lambda: subprocess.run(  # noqa: E731
    ["bash", "launch/measure.sh", *PARTS, "--out", str(out / "numbers")],
    env=env,
    capture_output=True,
    text=True,
  )
  return out / "numbers", run(), run


@pytest.mark.release
@pytest.mark.skipif(shutil.which("timeout") is None, reason="needs GNU timeout")
def test_every_part_is_measured_with_few_packages_and_tabulated(measured):
  folder, done, again = measured
  assert done.returncode == 0, done.stderr
  parts = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
  assert set(parts) == set(PARTS)
  assert all(part["tiny"] and part["machine"]["threads"] for part in parts.values())
  for row in parts["parity"]["published"]:
    assert max(row[name] for name in row if name not in ("oracle", "pixels")) < 1e-5
  float32, bfloat16 = parts["parity"]["losses"].values()
  assert len(float32) == TINY.losses and float32 != bfloat16
  assert np.allclose(float32, bfloat16, rtol=0.1)
  highest = parts["precision"]["HIGHEST"]
  assert all(row["error"] < 3e-6 for row in highest["rotations"])
  for part in ("steps_float32", "steps_bfloat16"):
    assert [b["batch_size"] for b in parts[part]["batches"]] == list(TINY.batches)
  assert {"train", "eval", "magnify"} == set(
    parts["steps_float32"]["batches"][0]["steps"]
  )
  assert "peers" not in parts or len(parts["peers"]["epochs"]) >= 3
  assert parts["epoch"]["runs"][1]["steps"] == 5 * parts["epoch"]["runs"][0]["steps"]
  text = (folder / "tables.md").read_text()
  assert text.strip() == done.stdout.strip()
  assert "Tiny sizes" in text and "missed" in text + "reached"
  before = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
  assert again().returncode == 0
  assert before == {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}


def test_idle_time_is_what_no_kernel_covers():
  found = kernels.summarize([(50, 60), (0, 20), (10, 30), (90, 100), (92, 95)], 2)
  assert found.count == 2.5
  assert found.seconds == pytest.approx(50e-9)
  assert found.idle == pytest.approx(0.5)
  assert kernels.summarize([], 3) is None


def test_a_config_without_ml_collections_is_the_same(tiny_config):
  config = bare.ConfigDict(json.loads(tiny_config.to_json_best_effort()))
  assert json.loads(config.to_json_best_effort()) == json.loads(
    tiny_config.to_json_best_effort()
  )
  other = config.copy_and_resolve_references()
  other.train.update({"epochs": 7})
  other.model.name = "resnet18"
  assert (config.train.epochs, config.model.name) == (2, "infusenet")
  assert not hasattr(config, "nothing")
  assert dict(**config.mesh) == {"fold": 1, "data": -1}


def test_labels_of_clips_made_for_comparing_are_seen_in_their_flow():
  clips = learnable_clips(TINY.config(), 50)
  assert clips.flow.min() >= 0 and clips.flow.max() <= 1
  # The spot of the third AU, in the grid of three rows and four columns.
  spot = clips.flow[:, 4:7, 19:22, 0].astype(float).mean((1, 2))
  assert spot[clips.labels[:, 2] == 1].min() > spot[clips.labels[:, 2] == 0].max()


def test_a_goal_says_whether_it_is_reached():
  run = {"seeds": 1, "total": 16 * 60}
  peer = {"step_seconds": 1, "times_ours": 3.2}
  rows = tables._reached(
    {
      "epoch": {"runs": [run]},
      "peers": {"epochs": {"PyTorch as published (NHWC)": peer}},
    }
  )
  assert [row[-1] for row in rows] == ["missed", "reached"]


@pytest.mark.parametrize(
  "arguments, said",
  [
    ([], "expected PART --out OUT"),
    (["speed", "--out", "x"], "'speed' is no part; expected tables or parity"),
    (["tables", "--out", "nowhere"], "holds nothing that was measured"),
  ],
)
def test_wrong_arguments_are_one_line(arguments, said):
  with pytest.raises(UserError, match=said):
    command.main(arguments)


def test_the_script_says_what_it_lacks():
  for arguments, said in ((["parity"], "--out is missing"), (["-x"], "-x is no flag")):
    done = subprocess.run(
      ["bash", "launch/measure.sh", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 2 and said in done.stderr
