"""What stands in for looking at videos: it does what a video's name says."""

import dataclasses
import os
import time

from infusenet_jax.predict.serve.task import DRAWING, FOLLOWING
from tests.predict.reports import make_report, without_face


def pretend(connection):
  """Fails, crashes or takes long where the name says so, else writes a report."""
  while True:
    try:
      task = connection.recv()
    except EOFError:
      return
    name = task.video.name
    connection.send(("progress", FOLLOWING, 5, 10))
    if name.startswith("crash"):
      os._exit(7)
    if name.startswith("slow"):
      time.sleep(60)
    if name.startswith("bad") or not task.video.read_bytes():
      connection.send(("failed", f"{task.video}: not a video; copy it again"))
      continue
    count = 1000 if task.intervals is None else len(task.intervals.read_text())
    connection.send(("progress", DRAWING, 1, 0))
    found = make_report(count=max(count, 600))
    if name.startswith("nobody"):
      frames = without_face(found.frames, slice(None))
      found = dataclasses.replace(found, frames=frames, intervals=())
    found.save(task.out)
    connection.send(("finished",))
