"""The page's videos get what the command writes, corrected ones too."""

import multiprocessing
import signal
import threading
from dataclasses import replace

import pytest

from infusenet_jax.predict import analysis, command
from infusenet_jax.predict.findings import Spot
from infusenet_jax.predict.serve import look
from infusenet_jax.predict.serve.look import Eye
from infusenet_jax.predict.serve.task import DRAWING, FOLLOWING, LOOKING, Task
from infusenet_jax.runtime.errors import UserError

TABLES = ("intervals.csv", "frames.csv", "intervals.elan.txt")


@pytest.fixture(autouse=True)
def spotted(pretended, monkeypatch):
  found = [Spot(1, 6, 10, "expression", 3.0), Spot(2, 3, 4, "blink", 9.0)]
  monkeypatch.setattr(analysis, "spot", lambda frames: found)


def test_as_the_command_does(film, tmp_path, monkeypatch):
  told, follow = [], analysis.follow
  followed = []
  monkeypatch.setattr(analysis, "follow", lambda *a: followed.append(1) or follow(*a))
  eye, task = Eye(), Task(film, tmp_path / "page", fps=50.0)
  eye.look_at(task, lambda *one: told.append(one))
  given = [str(film), "--fps", "50", "--out"]
  command.main([*given, str(tmp_path / "line")])
  for name in TABLES:
    page, line = (tmp_path / p / name for p in ("page", "line"))
    assert page.read_bytes() == line.read_bytes()
  assert [one for one in told if one[0] == FOLLOWING][-1] == (FOLLOWING, 12, 12)
  assert told[-1][0] == LOOKING

  table = tmp_path / "table.csv"
  table.write_text("onset,apex,offset\n2,5,9\n")
  count = len(followed)
  eye.look_at(replace(task, intervals=table), lambda *_: None)
  assert len(followed) == count, "the face is not followed twice"
  command.main([*given, str(tmp_path / "again"), "--intervals", str(table)])
  for name in TABLES:
    page, line = (tmp_path / p / name for p in ("page", "again"))
    assert page.read_bytes() == line.read_bytes()


def test_a_film_is_made_and_goes_with_its_intervals(film, tmp_path, monkeypatch):
  def write(path, report, frames, magnify, *, amp):
    path.write_bytes(bytes(len(list(frames))))

  monkeypatch.setattr(look, "write_movie", write)
  eye, task, told = Eye(), Task(film, tmp_path / "out", movie=True), []
  eye.look_at(task, lambda *one: told.append(one))
  assert (tmp_path / "out" / "report.mp4").stat().st_size == 12
  assert told[-1] == (DRAWING, 12, 12)
  eye.look_at(replace(task, movie=False), lambda *_: None)
  assert not (tmp_path / "out" / "report.mp4").exists()


def test_answers_of_the_process(film, tmp_path, monkeypatch):
  """A bad video, a mistake of the program and a good video: three answers."""

  class Pretended:
    def look_at(self, task, tell):
      tell(FOLLOWING, 1, 2)
      if task.fps == 1:
        raise UserError("one\nline")
      if task.fps == 2:
        raise ZeroDivisionError("division\nby zero")

  monkeypatch.setattr(look, "Eye", Pretended)
  ours, theirs = multiprocessing.Pipe()
  thread = threading.Thread(target=look.work, args=(theirs,))
  thread.start()
  answers = []
  for fps in (1, 2, 3):
    ours.send(Task(film, tmp_path, fps=fps))
    while (answer := ours.recv())[0] == "progress":
      pass
    answers.append(answer)
  ours.close()
  thread.join(10)
  assert not thread.is_alive()
  theirs.close()
  assert answers == [
    ("failed", "one line"),
    ("failed", "ZeroDivisionError: division by zero"),
    ("finished",),
  ]


@pytest.mark.slow
def test_the_process_ends_in_order_when_it_is_told_to(tmp_path):
  """Ended by the signal itself it leaves semaphores, and the server prints warnings."""
  context = multiprocessing.get_context("spawn")
  connection, other = context.Pipe()
  process = context.Process(target=look.work, args=(other,), daemon=True)
  process.start()
  connection.send(Task(tmp_path / "absent.mp4", tmp_path / "out"))
  assert connection.recv()[0] == "failed"
  process.terminate()
  process.join(30)
  assert process.exitcode == 128 + signal.SIGTERM
