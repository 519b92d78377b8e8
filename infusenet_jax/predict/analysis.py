"""From a video to its report: follow the face, spot intervals, name their AUs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

from infusenet_jax.predict.aus import EXPRESSION_SECONDS, LEAST_FRAMES, describe
from infusenet_jax.predict.elan import Timed
from infusenet_jax.predict.findings import SIMULATED_WEIGHTS, Frames, Report
from infusenet_jax.predict.given import Given, to_spots
from infusenet_jax.predict.watch.spotting import spot
from infusenet_jax.predict.watch.track import follow
from infusenet_jax.predict.watch.video import Footage, Frame, open_footage
from infusenet_jax.predict.weights.networks import Networks, shipped
from infusenet_jax.runtime.workdir import versions


@dataclass(frozen=True)
class Settings:
  """What a user may choose.

  fps: frames a second, where they are not the video's own.
  face: which one where there are several, 0 is the largest.
  amp: how many times motion is magnified in pictures.
  pictures: whether the report has any.
  """

  fps: float | None = None
  face: int = 0
  amp: float = 10.0
  pictures: bool = True


DEFAULT = Settings()


def analyse(
  source: str | Path | Sequence[np.ndarray] | np.ndarray,
  fps: float | None = None,
  *,
  networks: Networks | None = None,
  intervals: Sequence[tuple[int, int, int]] | None = None,
  face: int = 0,
  amp: float = 10.0,
  pictures: bool = True,
  progress: bool = False,
) -> Report:
  """Finds brief facial expressions in a video and says which action units they show.

      report = analyse("interview.mp4")
      report.save("interview")  # Tables, JSON and a page.
      report = analyse(frames, fps=200, intervals=[(40, 52, 70)])

  Args:
    source: a video file, a folder of numbered frames, or frames (T, H, W, 3) RGB or
      (T, H, W) grey, uint8.
    fps: frames a second, needed for frames; it overrides a video's time stamps.
    networks: of `load_run`; by default the weights that ship with the package.
    intervals: onset, apex and offset of each, by the numbers of frames, where they are
      known; by default they are looked for.
    face: which face where there are several; 0 is the largest.
    amp: how many times the pictures magnify motion.
    pictures: False leaves faces out of the report.
    progress: whether what takes long shows how long.

  Raises:
    UserError: the video cannot be read, in one line that says why.
  """
  footage = open_footage(source, fps)
  given = None
  if intervals is not None:
    given = [Given(*map(int, one), f"interval {n}") for n, one in enumerate(intervals)]
  settings = Settings(fps, face, amp, pictures)
  return report_on(footage, networks or shipped(), given, settings, progress=progress)


@dataclass(frozen=True)
class Followed:
  """A face that was followed through a video: what every report of it begins with.

  frames: a row per frame.
  faces: how many there were in a frame at most.
  notes: what became known on the way, in words.
  """

  frames: Frames
  faces: int
  notes: tuple[str, ...]


def follow_face(
  footage: Footage,
  face: int = 0,
  *,
  progress: bool = False,
  stopped: Callable[[], bool] = lambda: False,
) -> Followed:
  """Follows one face through all frames of a video.

  Args:
    footage: the video.
    face: which one where there are several; 0 is the largest.
    progress: whether it is shown how long it takes.
    stopped: asked before every frame; True ends the video there.

  Raises:
    UserError: no frame can be read.
  """
  watch = _Watch(footage, progress, stopped)
  frames, faces = follow(watch, face)
  return Followed(frames, faces, (*watch.notes(), *footage.notes))


def report_on(
  footage: Footage,
  networks: Networks,
  given: Sequence[Given | Timed] | None = None,
  settings: Settings = DEFAULT,
  *,
  followed: Followed | None = None,
  progress: bool = False,
  stopped: Callable[[], bool] = lambda: False,
) -> Report:
  """The report of one video.

  Args:
    footage: the video.
    networks: what gives the probabilities.
    given: the intervals, where a person gives them; else they are spotted.
    settings: what the user chose.
    followed: what `follow_face` found in this video, where that is known already.
    progress: whether what takes long shows how long.
    stopped: asked before every frame; True ends the video there.

  Raises:
    UserError: no frame can be read, or a frame that is given is not there.
  """
  if followed is None:
    followed = follow_face(footage, settings.face, progress=progress, stopped=stopped)
  frames = followed.frames
  if given is not None:
    spots = to_spots(given, frames)
  else:
    spots = spot(frames) if len(frames) > 1 else []
  found = describe(
    footage,
    frames,
    spots,
    networks,
    pictured=settings.pictures,
    amp=settings.amp,
    progress=progress,
  )
  return Report(
    source=footage.name,
    face=settings.face,
    frames=frames,
    intervals=[interval for interval in found if interval.kind != "blink"],
    blinks=[interval for interval in found if interval.kind == "blink"],
    model=dict(networks.card),
    settings=asdict(settings)
    | {
      "intervals": "spotted" if given is None else "given",
      "crop": networks.record_size,
      "flow": networks.made.flow,
      "strain": networks.made.strain,
      "head": networks.made.head,
    },
    versions=versions() | {"av": av.__version__},
    notes=(
      *_notes(networks, frames, followed.faces, settings.face),
      *followed.notes,
    ),
  )


class _Watch:
  """The frames of a video on their way to whoever follows a face in them."""

  def __init__(self, footage: Footage, progress: bool, stopped: Callable[[], bool]):
    self._footage, self._progress, self._stopped = footage, progress, stopped
    self.ended_at: Frame | None = None  # Where the user stopped it.

  def __iter__(self) -> Iterator[Frame]:
    bar = tqdm(
      self._footage,
      total=self._footage.count,
      desc=f"following the face in {self._footage.name}",
      unit="frame",
      delay=3,
      leave=False,
      disable=not self._progress,
    )
    with bar:
      for frame in bar:
        yield frame
        if self._stopped():
          self.ended_at = frame._replace(image=None)
          return

  def notes(self) -> list[str]:
    """What must be said of how the frames went by."""
    if self.ended_at is None:
      return []
    return [
      f"stopped by the user after frame {self.ended_at.number}"
      f" ({self.ended_at.seconds:.2f} s); what follows was not looked at"
    ]


def _notes(networks: Networks, frames: Frames, faces: int, face: int) -> list[str]:
  """What a reader must know before using the numbers."""
  simulated = [SIMULATED_WEIGHTS] if networks.card.get("simulated") else []
  lines = list(dict.fromkeys([*simulated, *networks.card.get("notes", ())]))
  if len(frames) == 1:
    lines.append("a single frame, in which no motion can be seen")
  elif np.isfinite(frames.fps):
    count = frames.fps * EXPRESSION_SECONDS
    line = (
      f"at {frames.fps:.4g} frames a second an expression of {EXPRESSION_SECONDS} s has"
      f" {round(count, 1):g} frames"
    )
    if count < LEAST_FRAMES:
      line += (
        f": fewer than {LEAST_FRAMES}, so brief and small ones may be missed, and onset"
        " and apex are coarse"
      )
    lines.append(line)
  if faces > 1:
    which = "the largest" if face == 0 else f"face {face}"
    lines.append(
      f"up to {faces} faces in a frame: {which} was followed; --face 0 takes the"
      " largest, --face 1 the next, and so on"
    )
  lost = int((~frames.success).sum())
  if lost == len(frames):
    which = "no face" if face == 0 else f"no face {face}"
    lines.append(f"{which} was found in any of the {len(frames)} frames")
  elif lost:
    lines.append(f"no face in {lost} of {len(frames)} frames, which are passed over")
  return lines
