"""Measures how exactly the eyes are found; prints the tables of docs/faces.md.

  python -m infusenet_jax.benchmark.face_accuracy --simulated DIR --photographs DIR

The simulated databases are those of `python -m data_prep simulate --out DIR`. The
photographs are not part of this project: marked_eyes.json says which files of which
packages they are and where their eyes are, marked by hand; docs/faces.md says how to
get them. The one that comes with matplotlib is always used.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from tqdm import tqdm

from infusenet_jax.clips.faces.detector import FaceDetector
from infusenet_jax.clips.frames.images import read_frame
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.text import text_table

MARKED = Path(__file__).with_name("marked_eyes.json")
ANGLES = (0, 20, -20, 35, -35)  # Degrees by which a picture is turned, clockwise.
SCALES = (0.5, 1.0, 2.0)
FOUND = 0.25  # Eyes count as found if both errors are less, in eye distances.
GOAL = 0.05
TIMED = 640  # Longer side of the frames that are timed, pixels.
HEADER = ["", "pairs", "found", "mean error", "worse eye", "largest", "below 5 %"]


def main() -> None:
  """Runs the command; `--help` explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.benchmark.face_accuracy",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--simulated", type=Path, metavar="DIR")
  parser.add_argument("--photographs", type=Path, metavar="DIR")
  parser.add_argument("--face-model", type=Path, metavar="ONNX", help="YuNet's")
  args = parser.parse_args()
  cv2.setNumThreads(1)
  detector = FaceDetector(args.face_model)
  print(f"OpenCV {cv2.__version__}; errors in % of the distance between the eyes")
  photographs = find_photographs(args.photographs)
  print(f"\nPhotographs: {', '.join(photographs)}")
  print(photograph_tables(detector, photographs))
  print(f"\nCPU time of one thread, frames with a longer side of {TIMED} px: ", end="")
  pictures = [picture for picture, _ in photographs.values()]
  print(f"{1000 * median_seconds(detector, pictures):.0f} ms (median)")
  if args.simulated:
    print("\nSimulated databases")
    print(simulated_table(detector, args.simulated))


def find_photographs(folder: Path | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """Finds the photographs of marked_eyes.json that are on this machine.

  Args:
    folder: where they are looked for, besides matplotlib's own.

  Returns:
    {name: (picture (H, W, 3) uint8, eyes (faces, 2, 2))}.

  Raises:
    UserError: a file has the name of a photograph but another content.
  """
  samples = Path(matplotlib.get_data_path()) / "sample_data"
  found, missing = {}, []
  for name, marked in json.loads(MARKED.read_text()).items():
    places = [*samples.glob(name), *(sorted(folder.rglob(name)) if folder else ())]
    if not places:
      missing.append(name)
      continue
    have = hashlib.sha256(places[0].read_bytes()).hexdigest()
    if have != marked["sha256"]:
      raise UserError(
        f"{places[0]}: has SHA-256 {have}, its eyes were marked in that of"
        f" {marked['from']} with {marked['sha256']}; put that file there"
      )
    found[name] = read_frame(places[0]), np.array(marked["eyes"])
  if missing:
    print(f"not at hand, left out: {', '.join(missing)} (--photographs)")
  return found


def photograph_tables(detector: FaceDetector, photographs: dict) -> str:
  """Makes the tables of errors by scale and angle, and by photograph."""
  by_way, by_name = {}, {}
  for name, (picture, eyes) in tqdm(photographs.items(), desc="photographs"):
    for scale in SCALES:
      for angle in ANGLES:
        frame, there = turned(picture, eyes, angle, scale)
        errors = eye_errors(detector, frame, there)
        by_way.setdefault(f"x {scale:g}, {abs(angle)} degrees", []).extend(errors)
        by_name.setdefault(name, []).extend(errors)
  everything = [error for errors in by_name.values() for error in errors]
  rows = [_row(name, errors) for name, errors in [*by_way.items(), *by_name.items()]]
  return text_table([HEADER, *rows, _row("all", everything)], underlined=True)


def simulated_table(detector: FaceDetector, root: Path) -> str:
  """Makes the table of errors by simulated database, as filmed and turned."""
  errors: dict[str, list[np.ndarray]] = {}
  for key, frame, eyes in tqdm(list(simulated(root)), desc="simulated"):
    frame = read_frame(frame)
    errors.setdefault(key, []).extend(eye_errors(detector, frame, eyes))
    for angle in ANGLES[1:]:
      picture, there = turned(frame, eyes, angle, 1.0)
      name = f"all, {abs(angle)} degrees"
      errors.setdefault(name, []).extend(eye_errors(detector, picture, there))
  rows = sorted(errors.items(), key=lambda row: row[0].startswith("all"))
  return text_table([HEADER, *(_row(*row) for row in rows)], underlined=True)


def simulated(root: Path) -> Iterator[tuple[str, Path, np.ndarray]]:
  """Yields every simulated clip's database, onset file and true eyes (1, 2, 2).

  Raises:
    UserError: the folder holds no simulation with the places of the eyes.
  """
  paths = sorted(root.glob("truth/*/*.npz"))
  for path in paths:
    with np.load(path) as truth:
      if "eyes" not in truth:
        raise UserError(
          f"{path}: does not say where the eyes are; simulate again, to another --out"
        )
      yield path.parent.name, root / str(truth["onset"]), truth["eyes"][None]
  if not paths:
    raise UserError(
      f"--simulated {root}: no simulated databases; write some with `python -m"
      f" data_prep simulate --out {root}`"
    )


def turned(
  picture: np.ndarray, eyes: np.ndarray, degrees: float, scale: float
) -> tuple[np.ndarray, np.ndarray]:
  """Turns a picture clockwise and scales it; also returns where its eyes are then.

  The new picture is so large that none of the old one is lost; its corners are filled
  by repeating the edge.
  """
  if scale < 1:
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return turned(small, (eyes + 0.5) * scale - 0.5, degrees, 1.0)
  height, width = picture.shape[:2]
  middle = (width - 1) / 2, (height - 1) / 2
  matrix = cv2.getRotationMatrix2D(middle, -degrees, scale)
  columns, rows = np.ceil(np.abs(matrix[:, :2]) @ (width, height)).astype(int).tolist()
  matrix[:, 2] += (columns - width) / 2, (rows - height) / 2
  frame = cv2.warpAffine(
    picture,
    matrix,
    (columns, rows),
    flags=cv2.INTER_CUBIC,
    borderMode=cv2.BORDER_REPLICATE,
  )
  return frame, eyes @ matrix[:, :2].T + matrix[:, 2]


def eye_errors(
  detector: FaceDetector, frame: np.ndarray, eyes: np.ndarray
) -> list[np.ndarray]:
  """Computes the errors of both eyes of each face, in distances between its eyes.

  Args:
    detector: is asked for all faces in the frame.
    frame: (H, W, 3) uint8, blue-green-red.
    eyes: (faces, 2, 2), true places, first the eye on the left of the picture.

  Returns:
    An array (2,) for each face; NaN for a face that was not found.
  """
  faces, errors = detector.find(frame), []
  for pair in eyes:
    apart = np.linalg.norm(pair[1] - pair[0])
    off = [np.linalg.norm(face.eyes - pair, axis=1) / apart for face in faces]
    best = min(off, key=max, default=np.full(2, np.inf))
    errors.append(best if max(best) < FOUND else np.full(2, np.nan))
  return errors


def _row(name: str, errors: list[np.ndarray]) -> list[object]:
  pairs = np.array(errors)
  found = pairs[~np.isnan(pairs).any(1)]
  row = [name, len(pairs), len(found)]
  if not len(found):
    return [*row, "-", "-", "-", 0]
  worse = found.max(1)
  percents = [f"{100 * v:.1f}" for v in (found.mean(), worse.mean(), worse.max())]
  return [*row, *percents, int((worse < GOAL).sum())]


def median_seconds(detector: FaceDetector, pictures: list[np.ndarray]) -> float:
  """Measures the CPU seconds of a search: the median over pictures of the best of five.

  The pictures are resized to TIMED.
  """
  best = []
  for picture in pictures:
    scale = TIMED / max(picture.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    frame = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=way)
    times = []
    for _ in range(5):
      start = time.thread_time()  # Other work on the machine hardly affects it.
      detector.find(frame)
      times.append(time.thread_time() - start)
    best.append(min(times))
  return float(np.median(best))


if __name__ == "__main__":
  exit_with_one_line(main)
