"""`python -m data_prep inspect`: draws a contact sheet of prepared records."""

from pathlib import Path

import cv2
import numpy as np

from data_prep.alignments import read_landmarks
from infusenet_jax.clips.frames.images import flow_colours
from infusenet_jax.clips.labels import AUS, database_name
from infusenet_jax.clips.prepared import prepared_databases, read_metadata
from infusenet_jax.clips.records import RecordSource
from infusenet_jax.clips.schema import HEADS
from infusenet_jax.runtime.errors import UserError

CELL = 176  # Side of a picture on the sheet, pixels.
TEXT = 300  # Width of the column of text.
INK = (30, 30, 30)
MARK = (80, 255, 80)  # Landmarks, blue-green-red.


def inspect(data: Path, out: Path, clips: int = 4) -> int:
  """Writes a PNG with `clips` rows of every database in `data`.

  A row shows the onset with the landmarks by which it was aligned, the apex, the window
  apex, the flow (hue is direction, saturation is length), the strain, and text.

  Raises:
    UserError: there are no records, or damaged ones, or the picture cannot be written.
  """
  folders = {
    key: folder
    for key, folder in prepared_databases(data).items()
    if (folder / "metadata.json").is_file()
  }
  if not folders:
    raise UserError(f"--data {data}: no records there; write some with `build`")
  rows, simulated, heads = [], False, set()
  for folder in folders.values():
    metadata = read_metadata(folder)
    simulated |= metadata["simulated"]
    heads.add(metadata["head"])
    source = RecordSource(folder)
    chosen = np.unique(np.linspace(0, len(source) - 1, clips).round().astype(int))
    landmarks = read_landmarks(folder, CELL)
    rows += [_row(source[int(i)], landmarks) for i in chosen]
  title = np.full((40, rows[0].shape[1], 3), 255, np.uint8)
  words = "SIMULATED DATA   " if simulated else ""
  held = "" if heads == {HEADS[0]} else "   head's motion removed"
  _write(title, f"{words}onset, apex, window apex, flow, strain{held}", 8, 27, 0.6)
  sheet = np.concatenate([title, *rows])
  if not out.suffix:
    out = out.with_suffix(".png")
  try:
    out.parent.mkdir(parents=True, exist_ok=True)
    written = cv2.imwrite(str(out), sheet)
  except (OSError, cv2.error) as error:
    raise UserError(f"--out {out}: cannot be written ({error})") from error
  if not written:
    raise UserError(f"--out {out}: cannot be written")
  print(
    f"{out}: {len(rows)} clips of {len(folders)} databases{held and ',' + held[2:]}"
  )
  return 0


def _row(record: dict, landmarks: dict[tuple[str, str], np.ndarray]) -> np.ndarray:
  frames = [record[name][..., ::-1] for name in ("onset", "apex", "window_apex")]
  flow = record["flow"].astype(np.float32)
  strain = flow[..., 2] / max(float(flow[..., 2].max()), 1e-6) * 255
  strain = np.repeat(strain.astype(np.uint8)[..., None], 3, -1)
  pictures = [*frames, flow_colours(flow)[..., ::-1], strain]
  pictures = [cv2.resize(picture, (CELL, CELL)) for picture in pictures]
  for point in landmarks.get((_text(record["subject"]), _text(record["clip"])), ()):
    cv2.drawMarker(pictures[0], point.round().astype(int).tolist(), MARK, 0, 7)
  text = np.full((CELL, TEXT, 3), 255, np.uint8)
  positive = [str(au) for au, on in zip(AUS, record["labels"], strict=True) if on]
  length = np.hypot(flow[..., 0], flow[..., 1])
  lines = [
    database_name(_text(record["database"])),
    f"{_text(record['subject'])}/{_text(record['clip'])}",
    f"AUs {_text(record['aus']) or 'none'}",
    f"labels {'+'.join(positive) or 'none'}",
    f"{_text(record['emotion'])}",
    f"frames {record['onset_frame']}, {record['apex_frame']},"
    f" {record['window_apex_frame']} at {record['fps']:g} fps",
    f"flow mean {length.mean():.2f}, max {length.max():.2f} px",
    "" if record["aligned"] else "no face found: centre crop",
  ]
  for i, line in enumerate(lines):
    _write(text, line.encode("ascii", "replace").decode(), 8, 20 + 20 * i, 0.42)
  return np.concatenate([*pictures, text], 1)


def _write(image: np.ndarray, text: str, x: int, y: int, scale: float) -> None:
  cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)


def _text(value: bytes | str) -> str:
  return value.decode() if isinstance(value, bytes) else value
