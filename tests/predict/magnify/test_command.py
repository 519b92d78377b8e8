"""The command as a user types it; most often with networks that only pretend."""

import os
import signal
import subprocess
import sys

import av
import numpy as np
import pytest

from infusenet_jax.predict.magnify import command
from infusenet_jax.predict.watch.video import Frame, open_footage
from infusenet_jax.runtime.errors import UserError
from tests.predict.films import SIDE, face, smiles, wall, write_film
from tests.predict.show.test_film import loud, with_sound


class Negatives:
  """Stands in for `TiledMagnifier`: what differs from the reference turns red."""

  def __init__(self, height: int, width: int):
    self.shape = height, width, 3

  def latents(self, frame):
    assert frame.shape == self.shape
    return frame.copy()

  def magnified(self, reference, frame, amp):
    moved = np.abs(reference.astype(int) - frame).max(-1) > 2
    return np.where(moved[..., None], np.uint8([250, 0, 0]), frame)


@pytest.fixture
def run(monkeypatch):
  """Runs the command in this process."""
  monkeypatch.setattr(command, "TiledMagnifier", Negatives)
  return lambda *given: command.main([str(one) for one in given])


def red(image) -> float:
  """The share of a picture that is red."""
  image = image.astype(int)
  return float(((image[..., 0] > 180) & (image[..., 1:].max(-1) < 90)).mean())


def test_a_video_is_magnified(film, tmp_path, capsys):
  """By the networks that ship."""
  out = tmp_path / "new" / "larger.mp4"
  assert command.main([str(film), "--amp", "4", "--out", str(out)]) == 0
  before, after = list(open_footage(film)), list(open_footage(out))
  assert [f.seconds for f in after] == pytest.approx(
    [f.seconds for f in before], abs=1e-3
  )
  assert after[0].image.shape == before[0].image.shape
  mouth = np.s_[120:170, 70:124]

  def moved(frames):
    return np.abs(frames[5].image.astype(int) - frames[0].image)[mouth].mean()

  assert moved(after) > 1.5 * moved(before)
  said = capsys.readouterr()
  assert said.out == f"Written to {out}: 12 frames, {SIDE}x{SIDE} pixels\n"


def test_since_the_first_frame_or_the_one_before(run, tmp_path):
  images = [face(0)] * 3 + [face(3)] * 3
  film = write_film(tmp_path / "a.mkv", images)
  for reference, expected in (("first", "000111"), ("previous", "000100")):
    out = tmp_path / f"{reference}.mp4"
    assert run(film, "--reference", reference, "--out", out) == 0
    found = [int(red(frame.image) > 0.01) for frame in open_footage(out)]
    assert found == [int(c) for c in expected]


def test_side_by_side(run, film, tmp_path):
  out = tmp_path / "both.webm"
  assert run(film, "--side-by-side", "--out", out) == 0
  frames = list(open_footage(out))
  assert frames[6].image.shape == (SIDE, 2 * SIDE, 3)
  left, right = np.split(frames[6].image, 2, axis=1)
  assert np.abs(left.astype(int) - smiles()[6]).mean() < 6
  assert red(right) > red(left) + 0.01


def test_the_face_alone(run, tmp_path):
  room = [np.tile(wall(), (2, 2, 1)) for _ in range(6)]
  for image in room:
    image[100 : 100 + SIDE, 120 : 120 + SIDE] = face()
  out = tmp_path / "face.mp4"
  assert run(write_film(tmp_path / "a.mkv", room), "--face", "--out", out) == 0
  frames = list(open_footage(out))
  assert len(frames) == 6
  side = frames[0].image.shape[0]
  assert frames[0].image.shape == (side, side, 3) and 64 < side < SIDE
  with pytest.raises(UserError, match="no face was found"):
    run(write_film(tmp_path / "b.mkv", [wall()] * 3), "--face", "--out", out)


def test_sound_and_its_absence(run, tmp_path, capsys):
  source, out = with_sound(tmp_path / "a.mkv"), tmp_path / "a.mp4"
  assert run(source, "--out", out) == 0
  assert loud(out)[0] == pytest.approx(0.5, abs=0.01)
  assert run(source, "--fps", 100, "--out", out) == 0
  with av.open(str(out)) as file:
    assert not file.streams.audio
  assert "sound is left out" in capsys.readouterr().err


def test_a_folder_of_frames(run, tmp_path):
  import cv2

  folder = tmp_path / "frames"
  folder.mkdir()
  for number, image in enumerate(smiles(4), 7):
    cv2.imwrite(str(folder / f"img{number}.png"), image[..., ::-1])
  out = tmp_path / "a.mp4"
  assert run(folder, "--fps", 200, "--out", out) == 0
  assert [f.seconds for f in open_footage(out)] == pytest.approx(
    [0, 0.005, 0.01, 0.015], abs=1e-3
  )


def test_of_a_video_that_is_cut_short_there_is_what_could_be_read(
  run, tmp_path, capsys
):
  whole = write_film(
    tmp_path / "a.avi", smiles(60), codec="libx264", pixels="yuv420p"
  ).read_bytes()
  (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
  out = tmp_path / "a.mp4"
  assert run(tmp_path / "cut.avi", "--out", out) == 0
  frames = list(open_footage(out))
  assert 0 < len(frames) < 60
  (line,) = capsys.readouterr().err.splitlines()[-1:]
  assert "cut short or damaged" in line and line.startswith("note: cut.avi")


def test_frames_of_another_size_end_the_film(run, tmp_path, monkeypatch, capsys):
  class Changing(list):
    name, rate, count, notes = "changing", 50, 4, ()

  wide = [96, 96, 96, 64]
  footage = Changing(
    Frame(n, n / 50, np.zeros((64, width, 3), np.uint8)) for n, width in enumerate(wide)
  )
  monkeypatch.setattr(command, "open_footage", lambda *_: footage)
  assert run(tmp_path / "a.mkv", "--out", tmp_path / "a.mp4") == 1
  assert len(list(open_footage(tmp_path / "a.mp4"))) == 3
  said = capsys.readouterr().err
  assert "error: changing: frame 3 is 64x64, the frames before it are 96x64" in said


def test_what_is_no_video_is_one_line_and_no_file(tmp_path):
  (tmp_path / "a.mp4").write_bytes(b"no video")
  given = [sys.executable, "-m", "infusenet_jax.predict.magnify", "a.mp4"]
  paths = os.pathsep.join(filter(None, sys.path))
  done = subprocess.run(
    given,
    cwd=tmp_path,
    capture_output=True,
    text=True,
    env=os.environ | {"PYTHONPATH": paths},
  )
  assert done.returncode == 2 and not done.stdout
  assert done.stderr.startswith("error: a.mp4: not a video")
  assert len(done.stderr.splitlines()) == 1
  assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_ctrl_c_keeps_what_is_done(run, film, tmp_path, monkeypatch, capsys):
  class Interrupted(Negatives):
    count = 0

    def magnified(self, *given):
      Interrupted.count += 1
      if Interrupted.count == 5:
        os.kill(os.getpid(), signal.SIGINT)
      return super().magnified(*given)

  monkeypatch.setattr(command, "TiledMagnifier", Interrupted)
  assert run(film, "--out", tmp_path / "a.mp4") == 130
  assert len(list(open_footage(tmp_path / "a.mp4"))) == 5
  said = capsys.readouterr()
  assert "note: stopped by the user after frame 4 (0.08 s)" in said.err
  assert said.out.endswith("a.mp4: 5 frames, 192x192 pixels\n")
  assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
  ("flags", "reason"),
  [
    ([], "the following arguments are required: VIDEO; --help"),
    (["a.mkv", "b.mkv"], "unrecognized arguments: b.mkv"),
    (["a.mkv", "--amp", "ten"], "argument --amp: invalid float value: 'ten'"),
    (["a.mkv", "--amp", "1"], "--amp 1: expected a factor above 1 and up to 100"),
    (["a.mkv", "--amp", "nan"], "--amp nan: expected a factor"),
    (["a.mkv", "--reference", "last"], "argument --reference: invalid choice: 'last'"),
    (["a.mkv", "--fps", "0"], "fps is 0"),
    (["absent.mkv"], "absent.mkv: no such file"),
    (["a.mkv", "--out", "b.avi"], "--out b.avi: ends in .avi; expected .mp4 or .webm"),
    (["a.mp4", "--out", "a.mp4"], "--out a.mp4: is the video itself"),
    (["a.mkv", "--out", "c.mp4"], "--out c.mp4: is a folder"),
    (["a.mkv", "--out", "a.mkv/b.mp4"], "--out a.mkv: cannot be made"),
  ],
)
def test_what_cannot_be_is_one_line(run, film, tmp_path, monkeypatch, flags, reason):
  monkeypatch.chdir(tmp_path)
  for name in ("a.mkv", "a.mp4"):
    (tmp_path / name).write_bytes(film.read_bytes())
  (tmp_path / "c.mp4").mkdir()
  with pytest.raises(UserError) as refused:
    run(*flags)
  assert reason in str(refused.value)
  assert "\n" not in str(refused.value)
  assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mkv", "a.mp4", "c.mp4"]
