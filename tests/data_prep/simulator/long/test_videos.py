"""Long videos on disk: what they show is what their truth says."""

import csv
import dataclasses
import json
import shutil

import av
import numpy as np
import pytest

from data_prep.simulator.long import videos
from data_prep.simulator.long.recording import Recording
from data_prep.simulator.long.story import Event, Story
from data_prep.simulator.long.videos import LongParameters, simulate_long
from infusenet_jax.runtime.errors import UserError

SIZE = (160, 120)
PARAMETERS = LongParameters(long=2, seconds=5.0, rates=(25.0, 60.0), size=SIZE, seed=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("long") / "videos"
  simulate_long(folder, PARAMETERS)
  return folder


def read(folder, name: str) -> list[dict[str, str]]:
  with open(folder / name, newline="") as file:
    return list(csv.DictReader(file))


def make_recording(*events: Event, nuisance: float = 0.0, kind: str = "everyday"):
  story = Story(0, kind, "casme2", (0, 0), 50.0, 100, events)
  return Recording(story, SIZE, nuisance)


def change(recording: Recording, first: int, second: int) -> np.ndarray:
  """Grey levels (H, W) by which two frames differ."""
  frames = (recording.frame(n).astype(float).mean(-1) for n in (first, second))
  return np.abs(np.subtract(*frames))


def test_videos_have_the_frames_that_their_tables_tell(folder):
  rows = read(folder, "videos.csv")
  assert [row["kind"] for row in rows] == ["expressions", "everyday"]
  for row in rows:
    with av.open(str(folder / row["video"])) as file:
      assert file.metadata["comment"] == "SIMULATED face"
      frames = [frame.time for frame in file.decode(video=0)]
      stream = file.streams.video[0]
      assert (stream.width, stream.height) == SIZE
    assert len(frames) == int(row["frames"]) == round(5 * float(row["fps"]))
    assert np.diff(frames).mean() == pytest.approx(1 / float(row["fps"]), rel=0.01)


def test_intervals_are_in_order_and_in_frames_and_seconds(folder):
  fps = {row["video"]: float(row["fps"]) for row in read(folder, "videos.csv")}
  rows = read(folder, "intervals.csv")
  assert "micro" in {row["kind"] for row in rows}
  for row in rows:
    frames = [int(row[name]) for name in ("onset", "apex", "offset")]
    assert frames == sorted(frames)
    for name, frame in zip(("onset", "apex", "offset"), frames, strict=True):
      seconds = float(row[f"{name}_seconds"])
      assert seconds == pytest.approx(frame / fps[row["video"]], abs=6e-4)
    assert bool(row["aus"]) == (row["kind"] in ("micro", "macro"))


def test_the_folder_says_that_it_is_simulated(folder):
  made = json.loads((folder / "SIMULATED.json").read_text())
  assert made["long"] == 2 and made["seed"] == 4
  assert not list(folder.glob("*.part*"))


def test_the_same_parameters_write_the_same_files_and_others_are_refused(
  folder, tmp_path
):
  again = tmp_path / "again"
  simulate_long(again, PARAMETERS)
  for path in sorted(folder.glob("*.*")):
    assert (again / path.name).read_bytes() == path.read_bytes()
  with pytest.raises(UserError, match="other parameters"):
    simulate_long(folder, dataclasses.replace(PARAMETERS, seed=5))


def test_a_stopped_run_goes_on(folder, tmp_path, monkeypatch):
  stopped = tmp_path / "stopped"
  shutil.copytree(folder, stopped)
  (stopped / "SIMULATED.json").rename(stopped / "SIMULATED.partial.json")
  lost, kept = sorted(stopped.glob("*.mp4"))
  before = lost.read_bytes()
  lost.unlink()
  stamp = kept.stat().st_mtime_ns
  simulate_long(stopped, PARAMETERS)
  assert lost.read_bytes() == before and kept.stat().st_mtime_ns == stamp
  monkeypatch.setattr(videos, "_write_video", None)  # Nothing is left to write.
  simulate_long(stopped, PARAMETERS)


def test_a_still_face_stays_the_same_but_for_the_light():
  light = Event("light", 0.5, 1.0, 1.5, amount=(0.2, 0.0, 0.0))
  recording = make_recording(light, kind="still")
  assert not change(recording, 0, 20).any()
  assert change(recording, 0, 50).mean() > 2
  assert not change(recording, 0, 90).any()


def test_a_blink_moves_the_eyes_and_nothing_below():
  blink = Event("blink", 0.5, 0.6, 0.76, amount=(10.0,))
  recording = make_recording(blink)
  moved = change(recording, 0, 30)
  height = recording.studio.placement.centre[1]
  below = int(height + 0.8 * recording.studio.placement.scale)
  assert moved.max() > 25 and moved[below:].max() < 1
  assert not change(recording, 0, 40).any()


def test_speech_moves_the_mouth_and_no_eye():
  recording = make_recording(Event("speech", 0.2, 1.0, 1.8, amount=(4.0,)))
  moved = max((change(recording, 0, n) for n in (40, 46, 52)), key=np.sum)
  eyes = int(recording.studio.placement.centre[1])
  assert moved[eyes + 20 :].max() > 10
  assert moved[: eyes + 5].max() < 3


def test_a_turn_moves_the_head_and_comes_back():
  amount = (0.1, 0.0, 0.0, 0.0, 0.15, 0.0)
  recording = make_recording(Event("turn", 0.2, 0.8, 1.4, amount=amount))
  assert change(recording, 0, 40).max() > 30
  assert not change(recording, 0, 80).any()
