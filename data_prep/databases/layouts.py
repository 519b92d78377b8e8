"""Describes how each database is laid out on disk: folders, workbooks, frame names.

The reader and the simulator use the same descriptions, so that a simulated database is
read as a licensed one is.
"""

import dataclasses

from data_prep.databases.listing import plain
from infusenet_jax.clips.labels import AUS


@dataclasses.dataclass(frozen=True)
class Release:
  """One of the releases of a database's frames, such as full frames or cropped faces.

  The templates take `number` (the subject's number), `filename` (the workbook's file
  name), `name` (the clip's: e2 for the second e of CAS(ME)^3), `onset` (frame number)
  and `emotion`; `frame` also takes `frame`, the frame number. The reader matches
  folders regardless of case, separators and zero-padding, and frames by the last
  number in their name.
  """

  name: str  # As messages call it.
  tops: tuple[str, ...]  # Folders that may hold it; "" is the database's own.
  clips: tuple[str, ...]  # Templates of a clip's folder below one of `tops`.
  frame: str
  cropped: bool = False  # The frames are faces already cropped.
  # Subjects from this number on have frame numbers zero-padded to three digits.
  padded_from: int | None = None

  def clip_folders(
    self, number: int, filename: str, name: str, onset: int, emotion: str
  ) -> list[str]:
    """Lists all spellings of a clip's folder below `tops`, with forward slashes."""
    emotions = EMOTION_FOLDERS.get(emotion.lower(), (emotion.lower(),))
    found = [
      template.format(
        number=number, filename=filename, name=name, onset=onset, emotion=emotion
      )
      for template in self.clips
      for emotion in emotions
    ]
    return list(dict.fromkeys(found))

  def clip_folder(self, number: int, filename: str, onset: int, emotion: str) -> str:
    """Returns the canonical path of a clip's folder, below the database's folder."""
    below = self.clip_folders(number, filename, filename, onset, emotion)[0]
    return f"{self.tops[0]}/{below}".lstrip("/")

  def frame_name(self, number: int, filename: str, frame: int) -> str:
    """Returns the file name of frame number `frame` of a clip."""
    padded = self.padded_from is not None and number >= self.padded_from
    text = f"{frame:03d}" if padded else frame
    return self.frame.format(number=number, filename=filename, frame=text)


@dataclasses.dataclass(frozen=True)
class Layout:
  """One database: names, workbook, frame releases and frame rate."""

  key: str
  folders: tuple[str, ...]  # Names, the canonical one first; case is ignored.
  workbooks: tuple[str, ...]  # File names, the canonical one first.
  header: tuple[str, ...]  # Column names, in order, as in the canonical workbook.
  subject: str  # Format of a subject's name from its number.
  releases: tuple[Release, ...]  # The preferred one first.
  fps: float
  header_row: int = 1  # Row of the sheet that holds the column names, from 1.
  au_columns: tuple[str, ...] = ()  # Binary columns that are the labels (4DME).
  repeats_names: bool = False  # Clips of one subject may share a file name.
  # Width and height of crops, in a database whose crops come in the full frames'
  # folders.
  crop_size: tuple[int, int] | None = None
  # Folders of the database with frames that are not to be read, and what those are.
  others: tuple[tuple[str, str], ...] = ()
  unlabelled: tuple[str, ...] = ()  # Clips on disk that no workbook has a row for.


# In MMEW the emotion in the workbook is the name of the clip's folder, but for these.
EMOTION_FOLDERS = {
  "others": ("repression", "others"),
  "repression": ("repression", "others"),
}

# The column names of each field in any revision of any of the workbooks. They are
# compared without case, spaces and punctuation.
SPELLINGS = {
  "subject": ("Subject", "sub_ID", "Subject ID", "Sub"),
  "filename": ("Filename", "fold_name", "Folder name"),
  "onset": ("Onset", "OnsetF", "Onset Frame"),
  "apex": ("Apex", "ApexF", "ApexF1", "Apex Frame"),
  "offset": ("Offset", "OffsetF", "Offset Frame"),
  "aus": ("AU", "AUs", "Action Unit", "Action Units"),
  "emotion": ("Emotion", "Estimated Emotion"),
}
# A column that only some workbooks have; it tells which rows are micro-expressions.
EXTRA = {"expression": ("Expression type",)}


def find_columns(header: tuple[object, ...]) -> dict[str, int]:
  """Finds the positions of the fields of `SPELLINGS` and `EXTRA` in a header row."""
  names = [plain(name) for name in header]
  found = {}
  for field, spellings in (SPELLINGS | EXTRA).items():
    for spelling in spellings:
      if plain(spelling) in names:
        found[field] = names.index(plain(spelling))
        break
  return found


_FOURD_AUS = tuple(f"AU{n}" for n in AUS)

_CASME = Layout(
  key="casme",
  folders=("CASME", "CASME I", "CASME1"),
  workbooks=("casme.xlsx",),
  header=(
    *("Subject", "Filename", "OnsetF", "ApexF1", "ApexF2", "OffsetF"),
    *("AU", "Emotion"),
  ),
  subject="{:02d}",
  releases=(
    Release(
      "raw",
      ("CASME_raw_selected", "raw_selected", "CASME_raw"),
      ("sub{number:02d}/{filename}",),
      "{filename}-{frame}.jpg",
      padded_from=8,
    ),
    Release(
      "cropped",
      ("Cropped", "Cropped_updated", "Cropped_original"),
      ("sub{number:02d}/{filename}",),
      "reg_{filename}-{frame}.jpg",
      cropped=True,
      padded_from=8,
    ),
  ),
  fps=60,
)

_CASME2 = Layout(
  key="casme2",
  folders=("CASME II", "CASME2"),
  workbooks=(
    "CASME2-coding-updated.xlsx",
    "CASME2-coding-20190701.xlsx",
    "CASME2-coding-20140508.xlsx",
  ),
  header=(
    *("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"),
    *("Action Units", "Estimated Emotion"),
  ),
  subject="{:02d}",
  releases=(
    Release(
      "raw",
      ("CASME2_RAW_selected", "RAW_selected", "CASME2_RAW"),
      ("sub{number:02d}/{filename}",),
      "img{frame}.jpg",
    ),
    Release(
      "cropped",
      ("Cropped", "Cropped_updated", "Cropped_original"),
      ("sub{number:02d}/{filename}",),
      "reg_img{frame}.jpg",
      cropped=True,
    ),
  ),
  fps=200,
  unlabelled=("sub09/EP02_02f",),
)

_SAMM = Layout(
  key="samm",
  folders=("SAMM",),
  workbooks=("SAMM_Micro_FACS_Codes_v2.xlsx",),
  header_row=14,
  header=(
    *("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame"),
    *("Offset Frame", "Duration", "Micro", "Action Units", "Estimated Emotion"),
    *("Objective Classes", "Notes"),
  ),
  subject="{:03d}",
  releases=(
    Release(
      "raw",
      ("", "SAMM"),
      ("{number:03d}/{filename}",),
      "{number:03d}_{frame:05d}.jpg",
    ),
    Release(
      "cropped",
      ("SAMM_CROP",),
      ("{number:03d}/{filename}", "{filename}"),
      "{number:03d}_{frame:05d}.jpg",
      cropped=True,
    ),
  ),
  fps=200,
)

_FOURD = Layout(
  key="fourd",
  folders=("4DME", "4DMicro"),
  workbooks=("4DME_Labelling_Micro_release v1.xlsx",),
  header=(
    *("sub_ID", "fold_name", "Emotion", "Onset", "Apex", "Offset", "AUs"),
    *_FOURD_AUS,
  ),
  au_columns=_FOURD_AUS,
  subject="S{:02d}",
  releases=(
    Release("raw", ("gray_micro",), ("S{number:02d}/{filename}",), "{frame}.jpg"),
    Release(
      "cropped",
      ("gray_micro_crop",),
      ("S{number:02d}/{filename}",),
      "{frame}.jpg",
      cropped=True,
    ),
  ),
  fps=60,
  others=(("rgb_micro", "another release"),),
)

_MMEW = Layout(
  key="mmew",
  folders=("MMEW",),
  workbooks=("MMEW_Micro_Exp.xlsx",),
  header=(
    *("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"),
    *("Action Units", "Estimated Emotion", "remarks"),
  ),
  subject="S{:02d}",
  releases=(
    Release("raw", ("Micro_Expression",), ("{emotion}/{filename}",), "{frame}.jpg"),
  ),
  fps=90,
  crop_size=(231, 231),
  others=(("Macro_Expression", "macro-expressions"),),
)

_CASME3A = Layout(
  key="casme3a",
  folders=("CAS(ME)^3 part A", "CAS(ME)^3", "CASME3A", "CASME3", "CASME III"),
  workbooks=(
    "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
    "cas(me)3_part_A_ME_label_JpgIndex_v2_20250903.xlsx",
  ),
  header=(
    *("Subject", "Filename", "Onset", "Apex", "Offset", "AU"),
    *("Objective class", "emotion"),
  ),
  subject="spNO.{}",
  releases=(
    Release("full", ("part_A", ""), ("spNO.{number}/{filename}/color",), "{frame}.jpg"),
    Release(
      "clip",
      ("Part_A_ME_clip",),
      ("frame/spNo.{number}_{filename}_{onset}",),
      "{frame}.jpg",
    ),
    Release("ME_A", ("ME_A",), ("spNO.{number}/{name}/color",), "{frame}.jpg"),
  ),
  fps=30,
  repeats_names=True,
  others=(("part_B", "another part"), ("part_C", "another part")),
)

LAYOUTS = {
  layout.key: layout for layout in (_CASME, _CASME2, _SAMM, _FOURD, _MMEW, _CASME3A)
}
