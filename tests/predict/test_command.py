"""The command as a user types it, on small films and with networks without weights."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import infusenet_jax
from infusenet_jax.predict import analysis, command
from infusenet_jax.predict.findings import SIMULATED_WEIGHTS, Spot
from infusenet_jax.predict.watch import track
from infusenet_jax.predict.weights import networks as trained
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock
from tests.predict.films import smiles, wall, write_film

FILES = ["frames.csv", "intervals.csv", "intervals.elan.txt"]
FILES += ["report.html", "report.json"]


@pytest.fixture
def spotted(monkeypatch):
  """Every video shows the same expression and blink."""
  found = [Spot(1, 6, 10, "expression", 3.0), Spot(2, 3, 4, "blink", 9.0)]
  monkeypatch.setattr(analysis, "spot", lambda frames: found)


@pytest.fixture
def run(pretended, spotted):
  """Runs the command in this process."""
  return lambda *given: command.main([str(one) for one in given])


def names(folder):
  return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def rows(path):
  with open(path, newline="", encoding="utf-8-sig") as file:
    return list(csv.DictReader(file))


def report(folder):
  return json.loads((folder / "report.json").read_text())


def test_a_video(run, film, tmp_path, capsys):
  out = tmp_path / "out"
  assert run(film, "--out", out) == 0
  assert names(out) == FILES
  (row,) = rows(out / "intervals.csv")
  assert (row["file"], row["kind"], row["onset"]) == ("smile.mkv", "expression", "1")
  assert row["AU12_c"] == "1"
  assert len(report(out)["blinks"]) == 1
  assert len(rows(out / "frames.csv")) == 12
  said = capsys.readouterr()
  assert "AU12 lip corner puller 0.88" in said.out
  # A terminal shows both.
  assert (said.out + said.err).count(SIMULATED_WEIGHTS) == 1
  assert SIMULATED_WEIGHTS in said.out
  assert "smile.mkv: 1 interval, 1 blink\n" in said.out


def test_a_finished_video_is_kept(run, film, tmp_path, monkeypatch, capsys):
  out = tmp_path / "out"
  run(film, "--out", out)
  before = (out / "report.json").stat().st_mtime_ns
  assert run(film, "--out", out) == 0
  assert (out / "report.json").stat().st_mtime_ns == before
  assert "kept as it is" in capsys.readouterr().out
  assert run(film, "--out", out, "--amp", 5) == 0
  assert report(out)["settings"]["amp"] == 5


def test_onset_and_apex_of_a_folder_of_frames(run, tmp_path):
  import cv2

  folder = tmp_path / "frames"
  folder.mkdir()
  for number, image in enumerate(smiles(), 5562):
    cv2.imwrite(str(folder / f"img{number}.png"), image[..., ::-1])
  given = (folder, "--fps", 200, "--onset", 5563, "--apex", 5568)
  assert run(*given, "--out", tmp_path / "out") == 0
  (row,) = rows(tmp_path / "out" / "intervals.csv")
  assert [row[n] for n in ("kind", "onset", "apex", "offset")] == [
    *("given", "5563", "5568", "5568")
  ]
  assert float(row["apex_seconds"]) == pytest.approx(6 / 200)
  with pytest.raises(UserError, match=r"apex is frame 9999, but .* 5562 to 5573"):
    run(folder, "--fps", 200, "--onset", 5563, "--apex", 9999, "--out", tmp_path / "no")


def test_corrected_intervals(run, film, tmp_path):
  run(film, "--out", tmp_path / "out")
  corrected = tmp_path / "corrected.csv"
  text = (tmp_path / "out" / "intervals.csv").read_text()
  corrected.write_text(text.replace("expression,1,6,10", "expression,2,5,9"))
  again = tmp_path / "again"
  assert run(film, "--intervals", corrected, "--out", again) == 0
  (row,) = rows(again / "intervals.csv")
  assert [row[n] for n in ("kind", "onset", "apex", "offset")] == [
    *("given", "2", "5", "9")
  ]
  with pytest.raises(UserError, match="would be written over"):
    run(film, "--intervals", again / "intervals.csv", "--out", again)


def test_several_videos_and_one_that_fails(run, film, tmp_path, capsys):
  folder = tmp_path / "in"
  folder.mkdir()
  (folder / "a.mkv").write_bytes(film.read_bytes())
  (folder / "b.mp4").write_bytes(b"no video")
  (folder / "c ü.mkv").write_bytes(film.read_bytes())
  out = tmp_path / "out"
  assert run(folder, "--out", out) == 1
  assert names(out) == ["a.mkv", "c ü.mkv", "intervals.csv", "summary.json"]
  assert names(out / "a.mkv") == FILES
  assert [row["file"] for row in rows(out / "intervals.csv")] == ["a.mkv", "c ü.mkv"]
  said = capsys.readouterr()
  assert f"error: {folder / 'b.mp4'}: not a video" in said.err
  table = [line.split() for line in said.out.splitlines()]
  assert ["b.mp4", *"-----", "failed"] in table
  assert any(line[:3] == ["a.mkv", "12", "0.2"] for line in table)
  (folder / "b.mp4").write_bytes(film.read_bytes())
  assert run(folder, "--out", out) == 0
  states = [
    v["state"] for v in json.loads((out / "summary.json").read_text())["videos"]
  ]
  assert states[0] == states[2] == "kept" != states[1]


def test_all_videos_fail(run, tmp_path):
  for name in ("a.mp4", "b.mp4"):
    (tmp_path / name).write_bytes(b"no video")
  assert run(tmp_path, "--out", tmp_path / "out") == 2


def test_a_mistake_in_the_program_costs_one_video(run, film, tmp_path, monkeypatch):
  for name in ("a.mkv", "b.mkv"):
    (tmp_path / name).write_bytes(film.read_bytes())
  follow = track.follow

  def fail(frames, face):
    if frames._footage.name == "a.mkv":
      raise ZeroDivisionError("division by zero")
    return follow(frames, face)

  monkeypatch.setattr("infusenet_jax.predict.analysis.follow", fail)
  assert run(tmp_path / "a.mkv", tmp_path / "b.mkv", "--out", tmp_path / "out") == 1


def test_no_pictures(run, film, tmp_path):
  assert run(film, "--out", tmp_path) == 0
  assert report(tmp_path)["settings"]["pictures"] is True
  assert run(film, "--no-pictures", "--out", tmp_path) == 0
  assert "data:image" not in (tmp_path / "report.html").read_text()
  assert report(tmp_path)["settings"]["pictures"] is False


def test_a_run_is_named(run, film, tmp_path, pretended, monkeypatch):
  asked = []

  def load_run(run, calibrated_by):
    asked.append((run, calibrated_by))
    return pretended

  monkeypatch.setattr(trained, "load_run", load_run)
  assert run(film, "--run", "runs/cd6me", "--out", tmp_path) == 0
  both = ("--run", "runs/all", "--calibration-run", "runs/twin")
  assert run(film, *both, "--out", tmp_path) == 0
  assert asked == [
    (Path("runs/cd6me"), None),
    (Path("runs/all"), Path("runs/twin")),
  ]


def test_records_are_handed_over(run, tmp_path, monkeypatch, capsys):
  asked = []

  def predict_records(*given):
    asked.append(given)
    return "tables\n"

  monkeypatch.setattr(command, "predict_records", predict_records)
  assert run("--records", tmp_path, "--run", "r", "--out", "o") == 0
  assert capsys.readouterr().out == "tables\n"
  assert [str(one) for one in asked[0]] == ["r", str(tmp_path), "o"]


@pytest.mark.parametrize(
  ("flags", "reason"),
  [
    ([], "no video is named"),
    (["a.mp4"], "a.mp4: no such file or folder"),
    (["a.mp4", "--onset", "3"], "--onset and --apex are given both"),
    (["a.mp4", "--offset", "3"], "--offset needs"),
    (["a.mp4", "--intervals", "b", "--onset", "1", "--apex", "2"], "takes the place"),
    (["a.mp4", "--video", "--no-pictures"], "shows faces"),
    (["a.mp4", "--face", "-1"], "--face -1"),
    (["a.mp4", "--amp", "1"], "--amp 1"),
    (["a.mp4", "--fps", "0"], "no such file|fps is 0"),
    (["--records", "r"], "--records needs --run"),
    (["a.mp4", "--calibration-run", "r"], "--calibration-run needs --run"),
    (["a.mp4", "--records", "r"], "takes the place of videos"),
  ],
)
def test_flags_that_do_not_go_together(run, flags, reason, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError, match=reason) as refusal:
    run(*flags)
  assert "\n" not in str(refusal.value)
  assert not names(tmp_path)


def test_one_interval_for_several_videos(run, film):
  with pytest.raises(UserError, match="belong to one video"):
    run(film.parent, "--onset", 1, "--apex", 2)


def test_stopped_by_the_user(run, film, tmp_path, monkeypatch):
  """What was seen until Ctrl-C is written, and looked at again next time."""
  follow = track.follow

  def interrupted(frames, face):
    def some():
      for frame in frames:
        if frame.number == 7:
          os.kill(os.getpid(), signal.SIGINT)
        yield frame

    return follow(some(), face)

  monkeypatch.setattr(analysis, "follow", interrupted)
  monkeypatch.setattr(analysis, "spot", lambda frames: [])
  with pytest.raises(KeyboardInterrupt):
    run(film, "--out", tmp_path)
  found = report(tmp_path)
  assert found["finished"] is False and len(found["frames"]["frame"]) == 8
  assert any("stopped by the user after frame 7" in note for note in found["notes"])
  monkeypatch.setattr(analysis, "follow", follow)
  assert run(film, "--out", tmp_path) == 0
  assert report(tmp_path)["finished"] is True


def test_the_rest_is_not_begun_after_ctrl_c(run, film, tmp_path, monkeypatch):
  for name in ("a.mkv", "b.mkv"):
    (tmp_path / name).write_bytes(film.read_bytes())
  follow = track.follow

  def interrupted(frames, face):
    os.kill(os.getpid(), signal.SIGINT)
    return follow(frames, face)

  monkeypatch.setattr(analysis, "follow", interrupted)
  monkeypatch.setattr(analysis, "spot", lambda frames: [])
  out = tmp_path / "out"
  with pytest.raises(KeyboardInterrupt):
    run(tmp_path / "a.mkv", tmp_path / "b.mkv", "--out", out)
  videos = json.loads((out / "summary.json").read_text())["videos"]
  assert [video["folder"] for video in videos] == ["a.mkv"]


def test_intervals_of_several_videos(run, film, tmp_path):
  for name in ("a.mkv", "b.mkv"):
    (tmp_path / name).write_bytes(film.read_bytes())
  table = tmp_path / "table.csv"
  table.write_text("file,onset,apex,offset\na.mkv,1,2,3\nb.mkv,4,5,6\nb.mkv,7,8,9\n")
  videos = (tmp_path / "a.mkv", tmp_path / "b.mkv")
  assert run(*videos, "--intervals", table, "--out", tmp_path / "out") == 0
  found = [(row["file"], row["onset"]) for row in rows(tmp_path / "out/intervals.csv")]
  assert found == [("a.mkv", "1"), ("b.mkv", "4"), ("b.mkv", "7")]


def test_the_table_of_all_videos_is_not_written_over(run, film, tmp_path):
  for name in ("a.mkv", "b.mkv"):
    (tmp_path / name).write_bytes(film.read_bytes())
  given = (tmp_path / "a.mkv", tmp_path / "b.mkv", "--out", tmp_path / "out")
  run(*given)
  table = tmp_path / "out" / "intervals.csv"
  table.write_text(table.read_text() + "corrected\n")
  with pytest.raises(UserError, match="was changed by hand"):
    run(*given)
  assert table.read_text().endswith("corrected\n")


def test_a_run_that_was_trained_again_is_asked_again(
  run, film, tmp_path, pretended, monkeypatch
):
  monkeypatch.setattr(trained, "load_run", lambda run, calibrated_by: pretended)
  results = tmp_path / "run" / "results.md"
  results.parent.mkdir()
  given = (film, "--run", tmp_path / "run", "--out", tmp_path / "out")
  kept = []
  for text in ("a", "a", "ab"):
    if not results.exists() or results.read_text() != text:
      results.write_text(text)
    before = (tmp_path / "out/report.json").exists() and report(tmp_path / "out")
    run(*given)
    kept.append(before == report(tmp_path / "out"))
  assert kept == [False, True, False]


def test_a_folder_that_cannot_be_written(run, film, tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match=r"--out .*file: cannot be written \(") as refusal:
    run(film, "--out", tmp_path / "file")
  assert "\n" not in str(refusal.value)


def test_another_command_is_writing_there(run, film, tmp_path):
  with lock(tmp_path), pytest.raises(UserError, match="another run is writing there"):
    run(film, "--out", tmp_path)


def test_the_movie_is_asked_for(run, film, tmp_path, monkeypatch):
  asked = {}

  def write(path, report, frames, magnify, *, amp):
    frames = list(frames)
    image = magnify(frames[0][2], frames[1][2])
    asked.update(path=path, count=len(frames), shape=image.shape, amp=amp)

  monkeypatch.setattr(command, "write_movie", write)
  assert run(film, "--video", "--out", tmp_path) == 0
  assert asked["path"] == tmp_path / "report.mp4" and asked["amp"] == 10
  assert asked["count"] == 12


def test_refusals_are_one_line_and_status_2(tmp_path):
  (tmp_path / "a.mp4").write_bytes(b"no video")
  given = [sys.executable, "-m", "infusenet_jax.predict", str(tmp_path / "a.mp4")]
  ended = subprocess.run(given, capture_output=True, text=True, cwd=tmp_path)
  assert ended.returncode == 2 and not ended.stdout
  (line,) = ended.stderr.splitlines()
  assert line.startswith("error: ") and "not a video" in line
  assert infusenet_jax.__version__ and names(tmp_path) == ["a.mp4"]


def test_a_wall(run, tmp_path, capsys, monkeypatch):
  """No face at all: said, and written."""
  monkeypatch.setattr(analysis, "spot", lambda frames: [])
  path = write_film(tmp_path / "wall.mkv", [wall()] * 3)
  assert run(path, "--out", tmp_path / "out") == 0
  assert "no face was found in any of the 3 frames" in capsys.readouterr().err
