"""Magnifies what moves in a video, so that small motions can be seen.

    python -m infusenet_jax.predict.magnify VIDEO --amp 10 --out magnified.mp4
    python -m infusenet_jax.predict.magnify VIDEO --side-by-side --out both.webm
    python -m infusenet_jax.predict.magnify VIDEO --face --out face.mp4
    python -m infusenet_jax.predict.magnify FRAMES_FOLDER --fps 200 --out magnified.mp4

Writes a film that browsers play, H.264 in .mp4 or VP9 in .webm, of the video's own
size, with its time stamps and its sound. Memory does not grow with the video's length;
time does: docs/magnifier.md says by how much, and what such a film cannot show. Nothing
leaves this computer. Ctrl-C keeps what is done so far.

Exit status: 0 all frames that can be read are in the film, 1 an error ended it early,
2 nothing was written, 130 it was ended by Ctrl-C (143 by SIGTERM).
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import absl.logging
import numpy as np
from tqdm import tqdm

from infusenet_jax.predict.magnify.steady import SteadyFace
from infusenet_jax.predict.magnify.tiles import TiledMagnifier
from infusenet_jax.predict.show.film import FORMATS, Film
from infusenet_jax.predict.show.outputs import make_folder
from infusenet_jax.predict.watch.sound import Sound
from infusenet_jax.predict.watch.track import follow
from infusenet_jax.predict.watch.video import Footage, Frame, VideoFile, open_footage
from infusenet_jax.runtime.devices import keep_compiled, keep_freed_memory
from infusenet_jax.runtime.errors import OneLineParser, UserError
from infusenet_jax.runtime.preemption import Signals, catch_signals
from infusenet_jax.runtime.text import print_lines

MOST_AMP = 100.0


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; `python -m infusenet_jax.predict.magnify --help` explains it."""
  options = _parser().parse_args(arguments)
  _check(options)
  absl.logging.set_verbosity(absl.logging.FATAL)
  keep_freed_memory()
  keep_compiled()
  footage = open_footage(options.video, options.fps)
  out = options.out or Path(f"{options.video.resolve().stem}_magnified.mp4")
  _check_out(out, options.video)
  frames = SteadyFace(footage, _followed(footage)) if options.face else footage
  return Magnification(options, footage, out).write(frames)


class Magnification:
  """What one command makes of one video."""

  def __init__(self, options: argparse.Namespace, footage: Footage, out: Path):
    self.options, self.footage, self.out = options, footage, out
    self.sound, self.notes = None, []
    if isinstance(footage, VideoFile):
      if options.fps:
        self.notes.append("--fps sets other times than the file's: sound is left out")
      else:
        self.sound = Sound.of(footage.path)
    self.ended_at: Frame | None = None  # Where the user stopped it.

  def write(self, frames: Footage | SteadyFace) -> int:
    """Writes the film and returns the exit status.

    Raises:
      UserError: no frame can be read, or the film cannot be written.
    """
    broken = None
    with catch_signals() as signals:
      with Film(self.out, self.footage.rate, self.sound) as film:
        # What is wrong with the film goes on up; with the video, ends it.
        try:
          for seconds, picture in self._pictures(frames, signals):
            film.write(seconds, picture)
        except BrokenVideo as error:
          if not film.count:
            raise UserError(str(error)) from error
          broken = error
      self._say(film, broken)
      if signals.received:
        return 128 + signals.received[0]
    return 1 if broken else 0

  def _pictures(
    self, frames: Footage | SteadyFace, signals: Signals
  ) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, picture) of each frame of the film."""
    magnifier = reference = shape = None
    for frame in self._shown(frames):
      if magnifier is None:
        shape = frame.image.shape
        magnifier = TiledMagnifier(*shape[:2])
      if frame.image.shape != shape:
        raise BrokenVideo(
          f"{self.footage.name}: frame {frame.number} is {_size(frame.image.shape)},"
          f" the frames before it are {_size(shape)}; the film ends before it"
        )
      latents = magnifier.latents(frame.image)
      if reference is None:
        reference = latents
      picture = magnifier.magnified(reference, latents, self.options.amp)
      if self.options.reference == "previous":
        reference = latents
      if self.options.side_by_side:
        picture = np.concatenate([frame.image, picture], axis=1)
      yield frame.seconds, picture
      if signals.received:
        self.ended_at = frame
        return

  def _shown(self, frames: Footage | SteadyFace) -> Iterator[Frame]:
    """Frames with a bar that says how long it takes."""
    bar = tqdm(
      total=self.footage.count,
      desc=f"magnifying {self.footage.name}",
      unit="frame",
      leave=False,
    )
    with bar:
      source = iter(frames)
      while True:
        try:
          frame = next(source, None)
        except UserError as error:
          raise BrokenVideo(str(error)) from error
        if frame is None:
          return
        yield frame
        bar.update()

  def _say(self, film: Film, broken: Exception | None) -> None:
    notes = [*self.notes, *self.footage.notes]
    if self.sound is not None:
      notes += self.sound.notes
    if self.ended_at is not None:
      notes.append(
        f"stopped by the user after frame {self.ended_at.number}"
        f" ({self.ended_at.seconds:.2f} s)"
      )
    print_lines([f"note: {note}" for note in notes])
    if broken:
      print_lines([f"error: {broken}"])
    print(f"Written to {self.out}: {film.count} frames, {_size(film.shape)} pixels")


class BrokenVideo(Exception):
  """The video cannot be read any further, or not at all; the message is one line."""


def _followed(footage: Footage):
  """Where the face is in each frame."""
  bar = tqdm(
    footage,
    total=footage.count,
    desc=f"following the face in {footage.name}",
    unit="frame",
    leave=False,
  )
  with bar:
    frames, _ = follow(bar)
  return frames


def _size(shape: tuple[int, ...]) -> str:
  return f"{shape[1]}x{shape[0]}"


def _check(options: argparse.Namespace) -> None:
  """Raises UserError for flags that cannot be."""
  if not 1 < options.amp <= MOST_AMP:
    raise UserError(
      f"--amp {options.amp:g}: expected a factor above 1 and up to {MOST_AMP:g}"
    )


def _check_out(out: Path, video: Path) -> None:
  """Raises UserError if no film can be written to `out`; makes its folder."""
  if out.suffix.lower() not in FORMATS:
    raise UserError(
      f"--out {out}: ends in {out.suffix or 'nothing'}; expected {' or '.join(FORMATS)}"
    )
  if out.is_dir() or (out.exists() and out.samefile(video)):
    what = "a folder" if out.is_dir() else "the video itself"
    raise UserError(f"--out {out}: is {what}; name another file")
  make_folder(out.parent)


def _parser() -> argparse.ArgumentParser:
  parser = OneLineParser(
    prog="python -m infusenet_jax.predict.magnify",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("video", type=Path, metavar="VIDEO", help="a video, or a folder of frames")
  add("--amp", type=float, default=10.0, help="how many times (default: 10)")
  add(
    "--out",
    type=Path,
    metavar="FILE",
    help=".mp4 or .webm (default: VIDEO's name and _magnified.mp4, in this folder)",
  )
  add("--side-by-side", action="store_true",
      help="the video as it is on the left, magnified on the right")  # fmt: skip
  add("--reference", choices=("first", "previous"), default="first",
      help="since which frame motion is magnified (default: first)")  # fmt: skip
  add("--face", action="store_true",
      help="the largest face alone, in its place while the head moves")  # fmt: skip
  add("--fps", type=float, help="frames a second; of a video it overrides time stamps")
  return parser
