"""Finds a clip's frame files in any release, and chooses those that are needed."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from data_prep.databases.annotations.clips import Clip
from data_prep.databases.layouts import Layout, Release
from data_prep.databases.listing import folders_below, plain
from data_prep.databases.names import is_foreign
from infusenet_jax.clips.frames.files import (
  frame_files,
  frame_number,
  without_copies,
)
from infusenet_jax.clips.frames.header import image_size
from infusenet_jax.clips.window import window_numbers, window_reach
from infusenet_jax.runtime.folders import folders_in

DEPTH = 4  # Levels of folders: CAS(ME)^3 has part_A/data/part_A_split/part_A.
HEADER_BYTES = 1 << 20  # Bytes of a file in which its width and height are looked for.
CROP = "reg_"  # How names of cropped frames begin in CASME and CASME II.


@dataclasses.dataclass(frozen=True)
class KeyFrames:
  """The files of which one clip's record is made."""

  clip: Clip
  cropped: bool
  fps: float  # Frames a second.
  onset: int
  apex: int
  candidates: tuple[int, ...]  # Frames that may become the window apex, in order.
  files: dict[int, Path]  # Frame number -> file, of onset, apex and candidates.
  note: str  # Says which frame takes the place of a missing one; "" if none is missing.
  video: bool = False  # Whether the file of all is one video, whose first frame is 0.
  offset: int | None = None  # None: there is none after the apex.
  offset_file: Path | None = None

  def with_offset(self) -> "KeyFrames":
    """Adds the file of the offset, if there is one, to `files`."""
    if self.offset is None:
      return self
    files = self.files | {self.offset: self.offset_file}
    return dataclasses.replace(self, files=dict(sorted(files.items())))


@dataclasses.dataclass(frozen=True)
class Place:
  """A folder that holds a release of a database."""

  release: Release
  top: Path
  name: str  # For messages: the path below the database's folder.


@dataclasses.dataclass(frozen=True)
class Frames:
  """All frames of one clip; `files` is frame number -> file."""

  place: Place
  folder: Path
  files: dict[int, Path]


def same_name(name: str) -> tuple:
  """Makes a key for names: `sub01` and `Sub-1` are one, `006_1` and `0061` are not."""
  parts = re.findall(r"(?a)\d+|[a-z]+", name.lower())
  return tuple(int(part) if part.isdigit() else part for part in parts)


class FrameFinder:
  """Finds the frames of clips in one database; lists every folder only once."""

  def __init__(self, folder: Path, layout: Layout):
    """Finds the folders of the database's releases.

    Raises:
      OSError: the folder that holds the database cannot be listed.
    """
    self._layout = layout
    self._listings: dict[Path, dict[tuple, list[Path]]] = {}
    self._numbered: dict[Path, dict[int, Path]] = {}
    self.places = _places(folder, layout)

  def find(self, clip: Clip, cropped: bool) -> Iterator[Frames]:
    """Yields a clip's cropped or full frames from each place that has them.

    The preferred release comes first.

    Raises:
      OSError: a folder cannot be listed.
    """
    for place in self.places:
      if not self._may_hold(place.release, cropped):
        continue
      for below in _clip_folders(place.release, clip):
        for folder in self._resolve(place.top, below):
          files = self._number_frames(folder, place.release, clip)
          if files and self._is_kind(files, clip, cropped):
            yield Frames(place, folder, files)

  def holds(self, clip: Clip, cropped: bool) -> Path | None:
    """Returns the folder of a clip's cropped or full frames, None if there is none."""
    try:
      found = next(self.find(clip, cropped), None)
    except OSError:
      return None
    return found.folder if found else None

  def looked_for(self, clip: Clip, cropped: bool) -> list[str]:
    """Lists the folders in which a clip is looked for, in their canonical spelling."""
    folders = [
      f"{release.tops[0]}/{below}".lstrip("/")
      for release in self._layout.releases
      if self._may_hold(release, cropped)
      for below in _clip_folders(release, clip)
    ]
    return list(dict.fromkeys(folders))

  def _may_hold(self, release: Release, cropped: bool) -> bool:
    return release.cropped == cropped or self._layout.crop_size is not None

  def _is_kind(self, files: dict[int, Path], clip: Clip, cropped: bool) -> bool:
    """Whether frames are cropped as wanted, in a layout that tells it by their size."""
    if self._layout.crop_size is None:
      return True
    file = files.get(clip.onset) or files[min(files)]
    with open(file, "rb") as stream:
      size = image_size(stream.read(HEADER_BYTES))
    # A damaged file counts as either kind, so that it is found and reported as damaged.
    return size is None or (size == self._layout.crop_size) == cropped

  def _resolve(self, top: Path, below: str) -> list[Path]:
    """Finds the folders below `top` whose names match; exact names come first."""
    found = [top]
    for part in below.split("/"):
      inner = [p for path in found for p in self._list(path).get(same_name(part), ())]
      found = sorted(inner, key=lambda path, part=part: path.name != part)
    return found

  def _list(self, folder: Path) -> dict[tuple, list[Path]]:
    if folder not in self._listings:
      listing: dict[tuple, list[Path]] = {}
      for path in folders_in(folder):
        listing.setdefault(same_name(path.name), []).append(path)
      self._listings[folder] = listing
    return self._listings[folder]

  def _number_frames(
    self, folder: Path, release: Release, clip: Clip
  ) -> dict[int, Path]:
    """Returns `number_frames` of a folder, which is listed only once."""
    if folder not in self._numbered:
      self._numbered[folder] = number_frames(folder, release, clip)
    return self._numbered[folder]


def number_frames(
  folder: Path, release: Release | None = None, clip: Clip | None = None
) -> dict[int, Path]:
  """Finds the images in a folder, by the last number in their names.

  Copies are left out, and so are crops (`reg_img46.jpg`) unless the release is one of
  crops. If two images have the same number, the one named as in the release is taken,
  or else the first.

  Raises:
    OSError: the folder cannot be listed.
  """
  images = frame_files(folder)
  if release is not None and not release.cropped:
    images = [path for path in images if not path.stem.lower().startswith(CROP)]
  frames: dict[int, Path] = {}
  for path in reversed(without_copies(images)):
    number = frame_number(path)
    if number in frames and release is not None and clip is not None:
      name = release.frame_name(clip.number, clip.filename, number)
      wanted = same_name(Path(name).stem)
      if same_name(frames[number].stem) == wanted != same_name(path.stem):
        continue
    frames[number] = path
  return frames


def _clip_folders(release: Release, clip: Clip) -> list[str]:
  onsets = [n for n in (clip.onset, clip.sheet_onset) if n is not None]
  folders = [
    folder
    for onset in onsets
    for folder in release.clip_folders(
      clip.number, clip.filename, clip.name, onset, clip.emotion
    )
  ]
  return list(dict.fromkeys(folders))


def _places(folder: Path, layout: Layout) -> list[Place]:
  """Finds the folders of the releases, in the order in which they are searched."""
  inner = list(folders_below(folder, DEPTH, lambda name: is_foreign(name, layout.key)))
  beside = [path for path in folders_in(folder.parent) if path != folder]
  found = []
  for release in layout.releases:
    for top in release.tops:
      if not top:
        found.append(Place(release, folder, folder.name))
        continue
      for path in inner:
        if path != folder and plain(path.name) == plain(top):
          name = path.relative_to(folder).as_posix()
          found.append(Place(release, path, name))
      # SAMM_CROP may lie beside SAMM. A folder there called just "Cropped" could belong
      # to any database.
      if release.cropped and plain(layout.folders[0]) in plain(top):
        found += [
          Place(release, path, f"../{path.name}")
          for path in beside
          if plain(path.name) == plain(top)
        ]
  return found


def key_frames(
  clip: Clip, files: Mapping[int, Path], fps: float, cropped: bool
) -> KeyFrames:
  """Chooses onset, apex, the candidates for the window apex, and the offset.

  If one of the three is missing, the nearest frame within 50 ms takes its place. There
  need be no offset, and one that is not after the apex is none.
  Candidates are the frames within 50 ms of the annotated apex, without the apex and
  without frames before the onset.

  Raises:
    FileNotFoundError: the onset or apex is missing, and so are all frames within 50 ms.
  """
  reach = window_reach(fps)
  onset = _nearest(clip.onset, files, reach, 0)
  apex = _nearest(clip.apex, files, reach, onset)
  window = window_numbers(onset, clip.apex, fps)
  candidates = tuple(n for n in window if n in files and n != apex)
  try:
    offset = _nearest(clip.offset, files, reach, max(apex, clip.apex) + 1)
  except FileNotFoundError:
    offset = None
  replaced = [
    f"{what} frame {want} is not on disk, frame {have} stands in"
    for what, want, have in (("onset", clip.onset, onset), ("apex", clip.apex, apex))
    if want != have
  ]
  return KeyFrames(
    clip=clip,
    cropped=cropped,
    fps=fps,
    onset=onset,
    apex=apex,
    candidates=candidates,
    files={n: files[n] for n in sorted({onset, apex, *candidates})},
    note="; ".join(replaced),
    offset=offset,
    offset_file=None if offset is None else files[offset],
  )


def _nearest(wanted: int, files: Mapping[int, Path], reach: int, first: int) -> int:
  near = [n for n in range(wanted - reach, wanted + reach + 1) if n in files]
  near = [n for n in near if n >= first]
  if not near:
    first, last = min(files), max(files)
    # One file for all numbers is a video.
    place = files[first] if files[first] == files[last] else files[first].parent
    raise FileNotFoundError(
      f"frame {wanted} is not in {place} (frames {first} to {last})"
    )
  return min(near, key=lambda n: (abs(n - wanted), n))
