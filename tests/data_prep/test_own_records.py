"""A CSV file of one's own clips -> records beside the six -> arrays and folds."""

import json

import numpy as np

from data_prep.build import Options
from data_prep.build import build as build_sources
from data_prep.check import check
from data_prep.inspect import inspect
from data_prep.sources import open_file
from infusenet_jax.clips.prepared import prepared_databases
from infusenet_jax.clips.records import load_clips
from infusenet_jax.evaluate.protocol import folds
from tests.data_prep.builds import SIZE, build, records
from tests.data_prep.trees import (
  draw_frame,
  write_casme2,
  write_clip,
  write_video,
)

TEXT = """database,subject,clip,path,onset,apex,offset,AUs
zoo,ben,1,ben.avi,0,6,12,4+7
lab,anna,smile,anna,5,9,12,R12
lab,ben,1,ben.avi,0,6,12,4+7
lab,ben,late,ben.avi,0,60,70,4
"""


def test_own_clips_become_databases_that_folds_leave_out(tmp_path, capsys):
  write_casme2(tmp_path / "root")
  write_clip(tmp_path / "anna", "{:03d}.png", 5, 9, 12)
  # A video whose pattern moves by half a pixel a frame.
  frames = [draw_frame(n / 2) for n in range(20)]
  write_video(tmp_path / "ben.avi", frames, fps=60)
  (tmp_path / "own.csv").write_text(TEXT)
  out = tmp_path / "out"
  build(tmp_path / "root", out, size=SIZE)
  opened = open_file(tmp_path / "own.csv")
  assert check(opened) == 1
  assert "own.csv line 5: frame 60 is not in" in capsys.readouterr().err
  zoo, lab = build_sources(opened.sources, out, Options(SIZE, faces="none"))
  assert (zoo.clips, lab.clips, len(lab.problems)) == (1, 2, 1)
  assert (zoo.counts, lab.counts) == ([], [])
  assert list(prepared_databases(out)) == ["casme2", "lab", "zoo"]
  clips = load_clips(out, 32)
  assert clips.database.tolist() == ["casme2", "casme2", "lab", "lab", "zoo"]
  assert not clips.simulated
  assert [fold.name for fold in folds("cd6me", clips.database, clips.subject)] == [
    *("casme2", "lab", "zoo")
  ]
  (record,) = records(out, "zoo")
  names = ("onset_frame", "apex_frame", "window_apex_frame", "offset_frame", "fps")
  assert [record[name] for name in names] == [0, 6, 9, 12, 60]
  inner = record["flow"][16:-16, 16:-16].astype(np.float32)
  np.testing.assert_allclose(inner[..., 0].mean(), 3, atol=0.5)
  metadata = json.loads((out / "lab/1.0.0/metadata.json").read_text())
  assert (metadata["published_clips"], metadata["lacking"]) == (None, ["ben/late"])
  assert inspect(out, out / "sheet.png") == 0
  again = build_sources(opened.sources, out, Options(SIZE, faces="none"))
  assert all(outcome.reused for outcome in again)
