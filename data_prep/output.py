"""Writes records so that the output folder never holds unfinished ones."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from infusenet_jax.clips.schema import UNSAID
from infusenet_jax.runtime.errors import UserError

# Words for fields of the records' identity in messages; other fields go by their name.
NAMES = {"fingerprint": "frames or annotations", "source": "simulation"}


def digest(data: bytes) -> str:
  """Hashes data to a short text that tells different contents apart."""
  return hashlib.sha256(data).hexdigest()[:16]


@contextlib.contextmanager
def unfinished(finished: Path) -> Iterator[Path]:
  """Makes a folder to write in, which is renamed to `finished` at the end of the block.

  Args:
    finished: OUT/<key>/<version>.

  Raises:
    UserError: the disk is full or cannot be written; nothing is left behind.
  """
  out, key = finished.parents[1], finished.parent.name
  folder = out / f".building-{key}"
  shutil.rmtree(folder, ignore_errors=True)  # A build that was killed leaves one.
  try:
    yield folder
    finished.parent.mkdir(exist_ok=True)
    os.replace(folder, finished)
  except OSError as error:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "the disk is full" if full else f"cannot be written ({error})"
    raise UserError(f"--out {out}: {what}; finished databases are kept") from error
  finally:
    shutil.rmtree(folder, ignore_errors=True)


def find_finished(folder: Path, identity: dict) -> dict | None:
  """Reads the metadata of finished records, if they are those that would be built now.

  Args:
    folder: OUT/<key>/<version>.
    identity: what records depend on; a part of their metadata.

  Returns:
    None if there are no records.

  Raises:
    UserError: there are other records; the message says what differs.
  """
  if not folder.exists():
    return None
  advice = f"delete {folder} or choose another --out"
  try:
    have = json.loads((folder / "metadata.json").read_text())
  except (OSError, ValueError) as error:
    raise UserError(f"{folder}: holds no finished records; {advice}") from error
  if not isinstance(have, dict):
    raise UserError(f"{folder}: its metadata.json holds no metadata; {advice}")
  have = UNSAID | have
  differ = [
    f"{NAMES.get(field, field)} ({json.dumps(have.get(field))} there,"
    f" {json.dumps(value)} now)"
    for field, value in identity.items()
    if have.get(field) != value
  ]
  if differ:
    raise UserError(f"{folder}: holds other records: {', '.join(differ)}; {advice}")
  return have


def check_space(out: Path, clips: int, size: int, frames: int) -> None:
  """Raises UserError if the disk has no room for that many clips, each of `frames`."""
  need = clips * size * size * (2 * frames + 6)  # PNGs and three float16 planes.
  free = shutil.disk_usage(out).free
  if free < need:
    raise UserError(
      f"--out {out}: the disk has {free / 1e6:.1f} MB free, about {need / 1e6:.1f} MB"
      " are needed; make room or choose another --out"
    )
