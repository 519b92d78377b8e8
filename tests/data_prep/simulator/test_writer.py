"""Simulated databases on disk: the same bytes always, and no half-made ones."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from data_prep.databases.layouts import LAYOUTS
from data_prep.simulator import writer
from data_prep.simulator.plan.population import plan_database
from data_prep.simulator.writer import Parameters, simulate
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock

TINY = Parameters(scale=0.01, frames="key", databases=("samm", "casme3a"))


def _files(root: Path) -> dict[str, str]:
  return {
    path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(root.rglob("*"))
    if path.is_file()
  }


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
  """A tiny simulation, written by two processes."""
  root = tmp_path_factory.mktemp("simulated")
  simulate(root, TINY, workers=2)
  return root


@pytest.mark.slow
def test_same_bytes_whatever_the_number_of_processes(tiny, tmp_path):
  simulate(tmp_path / "again", TINY, workers=1)
  assert _files(tmp_path / "again") == _files(tiny)
  mark = (tiny / "SIMULATED.json").read_text()
  assert json.loads(mark)["scale"] == TINY.scale
  for key in TINY.databases:  # Each keeps the word when it is moved.
    assert (tiny / LAYOUTS[key].folders[0] / "SIMULATED.json").read_text() == mark


def test_simulations_without_the_newer_fields_are_known(tiny):
  """SIMULATED.json of a plain simulation is what it was before there were others."""
  fields = json.loads((tiny / "SIMULATED.json").read_text())
  assert set(fields) == {
    *("seed", "scale", "nuisance", "frames", "labels", "databases", "version")
  }
  for other in ({"still": True}, {"only": "motion"}):
    with pytest.raises(UserError, match="simulated with other parameters"):
      simulate(tiny, dataclasses.replace(TINY, **other))


def test_still_faces_without_nuisance_do_not_change_at_all(tiny, tmp_path):
  root = tmp_path / "still"
  still = dataclasses.replace(TINY, still=True, nuisance=0.0, databases=("samm",))
  simulate(root, still, workers=1)
  assert json.loads((root / "SIMULATED.json").read_text())["still"] is True
  folders = {path.parent for path in root.rglob("*.jpg")}
  assert len(folders) == 6
  for folder in folders:
    assert len({path.read_bytes() for path in folder.iterdir()}) == 1
  # Truth has the names of the moving clips: clips match one to one.
  names = [sorted(p.name for p in (r / "truth/samm").iterdir()) for r in (root, tiny)]
  assert names[0] == names[1]
  with pytest.raises(UserError, match="still True, now False"):
    simulate(root, dataclasses.replace(still, still=False))


def test_other_seeds_give_other_pictures(tiny, tmp_path):
  other = dataclasses.replace(TINY, seed=1, databases=("samm",))
  simulate(tmp_path / "other", other, workers=1)
  mine = {v for k, v in _files(tmp_path / "other").items() if k.endswith(".jpg")}
  assert not mine & set(_files(tiny).values())


def test_key_frames_hold_the_window_about_the_apex(tiny):
  for key in TINY.databases:
    layout = LAYOUTS[key]
    for clip in plan_database(key, TINY.scale, 0, "statistics"):
      release = layout.releases[0]
      folder = release.clip_folder(clip.number, clip.filename, clip.onset, clip.emotion)
      for frame in (clip.onset, clip.apex, clip.offset):
        name = release.frame_name(clip.number, clip.filename, frame)
        assert (tiny / layout.folders[0] / folder / name).exists()
      assert writer.truth_path(tiny, clip).exists()
  assert {len(list((tiny / "truth" / key).iterdir())) for key in TINY.databases} == {
    6,
    9,
  }


def test_a_finished_root_is_reused_and_another_refused(tiny):
  before = _files(tiny)
  simulate(tiny, TINY)
  assert _files(tiny) == before
  with pytest.raises(UserError, match=r"nuisance 1\.0, now 0\.5"):
    simulate(tiny, dataclasses.replace(TINY, nuisance=0.5))


@pytest.mark.slow
def test_a_stopped_run_looks_unfinished_and_goes_on(tiny, tmp_path, monkeypatch):
  root, truth = tmp_path / "stopped", writer._write_truth
  written = []

  def stop(path, film, onset):
    if len(written) == 4:
      raise KeyboardInterrupt
    truth(path, film, onset)
    written.append(path)

  monkeypatch.setattr(writer, "_write_truth", stop)
  with pytest.raises(KeyboardInterrupt):
    simulate(root, TINY, workers=1)
  assert not (root / "SIMULATED.json").exists()
  monkeypatch.undo()
  times = {path: path.stat().st_mtime_ns for path in written}
  simulate(root, TINY, workers=1)
  assert {path: path.stat().st_mtime_ns for path in written} == times
  assert _files(root) == _files(tiny)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
  def full(self, data):
    raise OSError(28, "No space left on device", str(self))

  monkeypatch.setattr(Path, "write_bytes", full)
  with pytest.raises(UserError, match="No space left on device"):
    simulate(tmp_path / "full", TINY, workers=1)
  assert not (tmp_path / "full" / "SIMULATED.json").exists()


def test_two_runs_at_once(tmp_path):
  root = tmp_path / "simulated"
  with lock(root), pytest.raises(UserError, match="another run is writing there"):
    simulate(root, TINY, workers=1)
  assert [path.name for path in root.iterdir()] == [".lock"]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
  (tmp_path / "thesis.txt").write_text("precious")
  with pytest.raises(UserError, match="was not written by simulate"):
    simulate(tmp_path, TINY)
  assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
