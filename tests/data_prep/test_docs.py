"""docs/data.md: its example runs as it stands, and it tells every layout."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from data_prep.__main__ import main
from data_prep.databases.layouts import LAYOUTS
from infusenet_jax.clips.labels import CLIPS, SUBJECTS
from infusenet_jax.clips.prepared import prepared_databases
from infusenet_jax.clips.records import load_clips
from tests.data_prep.databases.layout_trees import TREES
from tests.data_prep.trees import draw_frame, write_clip, write_video

TEXT = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
EXAMPLE = TEXT.split("## Clips of your own")[1].split("\n## ")[0]


@pytest.mark.slow
def test_the_example_of_own_clips_runs(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  csv = re.search(r"```csv\n(.*?)```", EXAMPLE, re.DOTALL)[1]
  Path("clips.csv").write_text(csv)
  write_clip(tmp_path / "anna/smile_1", "frame_{:03d}.png", 5, 9, 12)
  Path("videos").mkdir()
  write_video(tmp_path / "videos/ben.avi", [draw_frame(n / 4) for n in range(15)])
  commands = re.findall(r"^    python -m (data_prep .*)$", EXAMPLE, re.MULTILINE)
  assert len(commands) == 2
  for command in commands:
    monkeypatch.setattr(sys, "argv", shlex.split(command.replace("data_prep", "x", 1)))
    if "build" in command:
      sys.argv += ["--size", "64"]
    assert main() == 0
  assert list(prepared_databases("records")) == ["my_lab"]
  clips = load_clips("records", 32)
  assert clips.subject.tolist() == ["anna", "ben"]
  assert clips.labels.sum() == 4


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_every_layout_is_told(tree):
  assert f"`{tree.folder}`" in TEXT
  for part in tree.frames.removeprefix("../").split("/")[-1:]:
    assert part in TEXT


def test_workbooks_and_counts_are_told():
  for key, layout in LAYOUTS.items():
    assert f"`{layout.workbooks[0]}`" in TEXT
    counts = rf"{CLIPS[key]} (clips )?of\s+{SUBJECTS[key]}"
    assert re.search(counts, TEXT)
