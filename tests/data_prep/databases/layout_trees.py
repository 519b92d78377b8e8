"""The folder layouts that public users of the six databases have, as data.

docs/data.md tells them to licensees.
"""

from typing import NamedTuple


class Tree(NamedTuple):
  """One layout: where a database lies in the root, its workbook and its frames."""

  key: str
  folder: str  # In the root.
  book: str  # The workbook's folder below it.
  frames: str  # Where the subjects' folders (or clips' or emotions') lie below it.
  release: str  # Which of the database's releases that is.
  said: str  # What `check` says of it.

  def __str__(self) -> str:
    return f"{self.folder}: {self.frames or '.'}"


FULL = "full frames"
TREES = [
  Tree("casme", "CASME", "", "CASME_raw_selected", "raw", FULL),
  Tree("casme", "CASME dataset", "", "CASME_raw_selected", "raw", FULL),
  Tree("casme", "casme-i", "", "Cropped", "cropped", "cropped"),
  Tree("casme2", "CASME2", "", "CASME2_RAW_selected", "raw", FULL),
  Tree(
    "casme2", "CASME II", "", "CASME2_RAW_selected/CASME2_RAW_selected", "raw", FULL
  ),
  Tree("casme2", "casme_ii", "", "RAW_selected", "raw", FULL),
  Tree("casme2", "CASMEII", "", "CASME2_RAW", "raw", FULL),
  Tree("casme2", "CASME2", "", "CASME2-RAW", "raw", FULL),
  Tree("casme2", "CASME2", "", "Cropped", "cropped", "cropped"),
  Tree("casme2", "CASME2", "", "Cropped-updated/Cropped", "cropped", "cropped"),
  Tree("casme2", "CASME2", "", "Cropped_original", "cropped", "cropped"),
  Tree("samm", "SAMM", "", "", "raw", FULL),
  Tree("samm", "SAMM_v2", "", "SAMM", "raw", FULL),
  Tree("samm", "SAMM", "", "SAMM_CROP", "cropped", "cropped"),
  Tree("samm", "SAMM", "", "../SAMM_CROP", "cropped", "cropped"),
  Tree("fourd", "4DME", "", "gray_micro", "raw", FULL),
  Tree("fourd", "4DME_micro", "", "Micro/gray_micro", "raw", FULL),
  Tree("fourd", "4dmicro", "", "gray_micro_crop", "cropped", "cropped"),
  Tree("mmew", "MMEW", "", "Micro_Expression", "raw", FULL),
  Tree("mmew", "MMEW_Final", "", "Micro_Expression", "raw", FULL),
  Tree("mmew", "MMEW", "MMEW_Final", "MMEW_Final/Micro_Expression", "raw", FULL),
  Tree("casme3a", "CAS(ME)3", "part_A/annotation", "part_A", "full", f"{FULL}, full"),
  Tree(
    *("casme3a", "CASME3", "annotation", "part_A/data/part_A_split/part_A"),
    *("full", f"{FULL}, full"),
  ),
  Tree("casme3a", "CASME3_Part_A", "", "", "full", f"{FULL}, full"),
  Tree("casme3a", "CAS(ME)^3", "", "Part_A_ME_clip", "clip", f"{FULL}, clip"),
  Tree(
    *("casme3a", "CASME3_Part_A", "", "Part_A_ME_clip/Part_A_ME_clip"),
    *("clip", f"{FULL}, clip"),
  ),
  Tree(
    "casme3a", "CAS(ME)^3", "part_A/annotation", "part_A/ME_A", "ME_A", f"{FULL}, ME_A"
  ),
]
