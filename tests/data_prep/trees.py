"""Miniature database folders, written by hand as a licensee would find them."""

from pathlib import Path

import cv2
import numpy as np
import openpyxl


def draw_frame(shift: float, width: int = 64, height: int = 64, seed: int = 0):
  """A smooth random pattern (height, width, 3), moved right by `shift` pixels."""
  rng = np.random.default_rng(seed)
  noise = cv2.GaussianBlur(rng.random((height + 16, width + 16, 3)), (0, 0), 2.5)
  noise = (noise - noise.min()) / np.ptp(noise) * 255
  move = np.array([[1, 0, shift - 8], [0, 1, -8]], float)
  moved = cv2.warpAffine(noise, move, (width, height), flags=cv2.INTER_CUBIC)
  return np.clip(np.round(moved), 0, 255).astype(np.uint8)


def write_frame(path: Path, shift: float = 0.0, **size) -> Path:
  path.parent.mkdir(parents=True, exist_ok=True)
  assert cv2.imwrite(str(path), draw_frame(shift, **size))
  return path


def write_clip(
  folder: Path, name: str, onset: int, apex: int, offset: int, **size
) -> None:
  """Frames onset..offset; `name` is a format of the number; motion peaks at apex."""
  for number in range(onset, offset + 1):
    distance = abs(number - apex) / max(apex - onset, offset - apex, 1)
    write_frame(folder / name.format(number), 1.5 * (1 - distance), **size)


def write_video(path: Path, frames: list, fps: float = 30) -> Path:
  """A video of (H, W, 3) uint8 frames in a codec that OpenCV always brings along."""
  codec = {".avi": "MJPG", ".mp4": "mp4v"}[path.suffix]
  height, width = frames[0].shape[:2]
  size = (width, height)
  writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
  assert writer.isOpened()
  for frame in frames:
    writer.write(frame)
  writer.release()
  return path


def write_workbook(path: Path, rows: list[list], above: int = 0) -> Path:
  """`rows` with the column names first, below `above` other rows."""
  book = openpyxl.Workbook()
  for i in range(above):
    book.active.append([f"remark {i}"])
  for row in rows:
    book.active.append(row)
  path.parent.mkdir(parents=True, exist_ok=True)
  book.save(path)
  return path


AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)

CASME_HEADER = [
  *("Subject", "Filename", "OnsetF", "ApexF1", "ApexF2", "OffsetF", "AU", "Emotion")
]
CASME2_HEADER = [
  *("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"),
  *("Action Units", "Estimated Emotion"),
]
SAMM_HEADER = [
  *("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame"),
  *("Offset Frame", "Duration", "Micro", "Action Units", "Estimated Emotion"),
  *("Objective Classes", "Notes"),
]
FOURD_HEADER = [
  *("sub_ID", "fold_name", "Emotion", "Onset", "Apex", "Offset", "AUs"),
  *(f"AU{au}" for au in AUS),
]
MMEW_HEADER = [*CASME2_HEADER, "remarks"]
CASME3A_HEADER = [
  *("Subject", "Filename", "Onset", "Apex", "Offset", "AU"),
  *("Objective class", "emotion"),
]


def samm_row(subject, name, onset, apex, offset, aus):
  return [subject, name, 1, onset, apex, offset, 1, "1/2", aus, "Fear", 2, None]


def fourd_row(name, text, ones, subject="S49", frames=(1, 5, 9)):
  return [subject, name, "Sad", *frames, text, *(int(au in ones) for au in AUS)]


def write_casme2(
  root: Path, rows: list[list] | None = None, frames: bool = True
) -> Path:
  """A CASME II folder with small square frames; its folder."""
  rows = rows or [
    [1, "EP02_01f", 46, 50, 56, "4+R7B", "disgust"],
    [2, "EP03_02", 1, 4, 8, "?", "others"],
  ]
  folder = root / "CASME II"
  write_workbook(folder / "CASME2-coding-updated.xlsx", [CASME2_HEADER, *rows])
  if frames:
    for subject, filename, onset, apex, offset, *_ in rows:
      clip = folder / f"CASME2_RAW_selected/sub{subject:02d}/{filename}"
      write_clip(clip, "img{}.jpg", onset, apex, offset)
  return folder


def write_all(root: Path) -> None:
  """All six databases, two clips each, every one in its own layout."""
  write_casme2(root)
  folder = root / "casme"
  rows = [
    CASME_HEADER,
    [1, "EP01_12", 73, 76, 0, 80, "4+L9", "disgust"],
    [8, "EP01_2", 5, 8, 0, 11, "1+2", "surprise"],
  ]
  write_workbook(folder / "casme.xlsx", rows)
  raw = folder / "CASME_raw_selected"
  write_clip(raw / "sub01/EP01_12", "EP01_12-{}.jpg", 73, 76, 80)
  write_clip(raw / "sub08/EP01_2", "EP01_2-{:03d}.jpg", 5, 8, 11)

  folder = root / "SAMM"
  rows = [
    SAMM_HEADER,
    samm_row(6, "006_1_2", 5562, 5566, 5570, "R12 + 15"),
    samm_row(13, "013_1_8", 10, 14, 18, "L14"),
  ]
  write_workbook(folder / "SAMM_Micro_FACS_Codes_v2.xlsx", rows, above=13)
  write_clip(folder / "006/006_1_2", "006_{:05d}.jpg", 5562, 5566, 5570)
  write_clip(folder / "013/013_1_8", "013_1_8_{}.jpg", 10, 14, 18)

  folder = root / "4DME"
  rows = [
    FOURD_HEADER,
    fourd_row("S08_002_01_1", "AU1+AU2(k)", {1, 2}, "S08", (1, 4, 7)),
    fourd_row("S49_001_01_1", "AU4+AU7", {4, 7}, "S49", (3, 5, 7)),
  ]
  write_workbook(folder / "4DME_Labelling_Micro_release v1.xlsx", rows)
  write_clip(folder / "gray_micro/S08/S08_002_01_1", "{:04d}.jpg", 1, 4, 7)
  write_clip(folder / "gray_micro/S49/S49_001_01_1", "{:04d}.jpg", 3, 5, 7)

  folder = root / "MMEW"
  rows = [
    MMEW_HEADER,
    ["S01", "S01-01-001", 1, 4, 7, "4+7", "disgust", None],
    ["S01", "S01-02-001", 2, 5, 8, "L14", "others", None],
  ]
  write_workbook(folder / "MMEW_Micro_Exp.xlsx", rows)
  frames = folder / "Micro_Expression"
  write_clip(frames / "disgust/S01-01-001", "{}.jpg", 1, 4, 7)
  write_clip(frames / "repression/S01-02-001", "{}.jpg", 2, 5, 8)

  folder = root / "CAS(ME)^3"
  rows = [
    CASME3A_HEADER,
    ["spNO.1", "a", 355, 358, 361, "4+17", 1, "fear"],
    ["spNO.1", "a", 400, 400, 404, "?", 1, "fear"],
  ]
  write_workbook(folder / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", rows)
  clips = folder / "Part_A_ME_clip/frame"
  write_clip(clips / "spNo.1_a_355", "{}.jpg", 355, 358, 361)
  write_clip(clips / "spNo.1_a_400", "{}.jpg", 400, 402, 404)
