"""What somebody wants to know of a video; light, since two processes send it."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

# What is being done with a video, in words.
FOLLOWING, LOOKING, DRAWING = "following the face", "looking closer", "making a film"


@dataclass(frozen=True)
class Task:
  """What is to be done with a video.

  video: the file.
  out: the folder for its outputs.
  run: a run's folder or packed file; None for the weights that ship.
  fps: frames a second in place of the file's own.
  movie: whether a film is made too.
  intervals: a table that a person corrected, as of `predict --intervals`.
  """

  video: Path
  out: Path
  run: Path | None = None
  fps: float | None = None
  movie: bool = False
  intervals: Path | None = None


class Weights(NamedTuple):
  """Weights that can be chosen: their name, where they are, what they learned from."""

  name: str
  run: Path | None
  simulated: bool
