"""Finding a clip's frame files in any release, and reading them without surprises."""

import dataclasses
import re
from pathlib import Path

from data_prep.databases.annotations import Clip
from data_prep.databases.layouts import Layout, Release
from infusenet_jax.runtime.errors import UserError

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
WINDOW_SECONDS = 0.05  # Half-width of the window about the annotated apex.


@dataclasses.dataclass(frozen=True)
class KeyFrames:
  """The files that one clip's record is made of: frame number -> file."""

  clip: Clip
  cropped: bool
  onset: int
  apex: int
  candidates: tuple[int, ...]  # For the window apex, in order.
  files: dict[int, Path]  # Onset, apex and the candidates.
  note: str  # Which frame stands in for a missing one, or "".


def same_name(name: str) -> tuple:
  """A key under which `sub01` and `Sub-1` are one name, `006_1` and `0061` are two."""
  parts = re.findall(r"\d+|[a-z]+", name.lower())
  return tuple(int(part) if part.isdigit() else part for part in parts)


class FrameFinder:
  """Finds clips below one database's folder; every directory is listed once."""

  def __init__(self, folder: Path, layout: Layout, cropped: bool = False):
    """`cropped` prefers the release of cropped faces where there are several."""
    self._listings: dict[Path, dict[tuple, Path]] = {}
    self._frames: dict[Path, dict[int, Path]] = {}
    self._releases = sorted(layout.releases, key=lambda r: r.cropped != cropped)
    # An unpacked archive often puts a release one folder deeper.
    self._bases = [folder, *sorted(p for p in self._list(folder).values())]

  def find(self, clip: Clip) -> tuple[Release, dict[int, Path]]:
    """The release that holds the clip and its frames, number -> file.

    Raises:
      FileNotFoundError: one line with all that was looked for.
    """
    looked_for = []
    for release in self._releases:
      for onset in dict.fromkeys((clip.onset, clip.sheet_onset)):
        if onset is None:
          continue
        path = release.clip_folder(clip.number, clip.filename, onset, clip.emotion)
        if path in looked_for:
          continue
        looked_for.append(path)
        for base in self._bases:
          found = self._resolve(base, path)
          if found is not None and (frames := self._number_frames(found)):
            # The other clips of this release are most likely in the same place.
            self._bases.remove(base)
            self._bases.insert(0, base)
            return release, frames
    raise FileNotFoundError(f"no frames in {' or '.join(looked_for)}")

  def _resolve(self, base: Path, path: str) -> Path | None:
    for part in path.split("/"):
      base = self._list(base).get(same_name(part))
      if base is None:
        return None
    return base

  def _list(self, folder: Path) -> dict[tuple, Path]:
    if folder not in self._listings:
      paths = [path for path in _contents(folder) if path.is_dir()]
      self._listings[folder] = {same_name(path.name): path for path in paths}
    return self._listings[folder]

  def _number_frames(self, folder: Path) -> dict[int, Path]:
    """The last number in a frame's name is its number, in every release."""
    if folder not in self._frames:
      frames = {}
      for path in reversed(_contents(folder)):
        numbers = re.findall(r"\d+", path.stem)
        if path.suffix.lower() in IMAGES and numbers and path.name[0] != ".":
          frames[int(numbers[-1])] = path
      self._frames[folder] = frames
    return self._frames[folder]


def _contents(folder: Path) -> list[Path]:
  try:
    return sorted(folder.iterdir())
  except OSError as error:
    raise UserError(f"{folder}: cannot be listed ({error.strerror})") from error


def key_frames(
  clip: Clip, release: Release, frames: dict[int, Path], fps: float, cropped: bool
) -> KeyFrames:
  """Chooses the frames that are needed; a neighbour within 50 ms may stand in.

  The window apex's candidates are the frames within 50 ms of the annotated apex, never
  before the onset, other than the apex.

  Raises:
    FileNotFoundError: onset or apex is missing and so are all its neighbours.
  """
  reach = int(WINDOW_SECONDS * fps + 1e-6)
  onset = _nearest(clip.onset, frames, reach, 0)
  apex = _nearest(clip.apex, frames, reach, onset)
  window = range(max(onset, clip.apex - reach), clip.apex + reach + 1)
  candidates = tuple(n for n in window if n in frames and n != apex)
  replaced = [
    f"{what} frame {want} is not on disk, frame {have} stands in"
    for what, want, have in (("onset", clip.onset, onset), ("apex", clip.apex, apex))
    if want != have
  ]
  return KeyFrames(
    clip=clip,
    cropped=cropped or release.cropped,
    onset=onset,
    apex=apex,
    candidates=candidates,
    files={n: frames[n] for n in sorted({onset, apex, *candidates})},
    note="; ".join(replaced),
  )


def _nearest(wanted: int, frames: dict[int, Path], reach: int, first: int) -> int:
  near = [n for n in range(wanted - reach, wanted + reach + 1) if n in frames]
  near = [n for n in near if n >= first]
  if not near:
    folder = next(iter(frames.values())).parent
    raise FileNotFoundError(
      f"frame {wanted} is not in {folder} (frames {min(frames)} to {max(frames)})"
    )
  return min(near, key=lambda n: (abs(n - wanted), n))
