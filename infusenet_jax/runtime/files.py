"""Files that are whole or not there. Needs no JAX."""

import contextlib
import errno
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from infusenet_jax.runtime.errors import UserError

_log = logging.getLogger(__name__)

PREDICTIONS = "predictions.csv"  # Of a fold, and of the whole run.

# What flock answers on a file system without locks: NFS without its daemon, Lustre
# mounted without them, some FUSE.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def write_atomically(path: str | os.PathLike, content: str | bytes) -> None:
  """Writes `content` as it is, text in UTF-8: a killed process leaves the old or this.

  Raises:
    UserError: there is no room, or no right to write.
  """
  path = Path(path)
  draft = path.with_name(f".{path.name}.{os.getpid()}")
  try:
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(draft, path)
  except OSError as error:
    with contextlib.suppress(OSError):
      draft.unlink(missing_ok=True)
    raise UserError(
      f"{path}: cannot be written ({error.strerror or error}); put that right (make "
      "room), then run the same command again"
    ) from error


def read_json(path: str | os.PathLike, advice: str) -> dict[str, Any]:
  """The fields of a JSON file.

  Args:
    path: of the file.
    advice: what to do where it cannot be read; ends the message.

  Raises:
    UserError: it is missing or unreadable, no JSON, or no object with fields.
  """
  try:
    content = json.loads(Path(path).read_text(encoding="utf-8"))
  except (OSError, ValueError, RecursionError) as error:
    reason = getattr(error, "strerror", None) or str(error)
    raise UserError(f"{path}: cannot be read as JSON ({reason}); {advice}") from error
  if not isinstance(content, dict):
    raise UserError(
      f"{path}: holds a {type(content).__name__}, expected named fields; {advice}"
    )
  return content


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """The arrays of a .npz file by name; nothing in it is run.

  Raises:
    ValueError: it is no such file, or holds a single array without a name.
    OSError: it cannot be read.
  """
  try:
    with open(path, "rb") as file:
      arrays = np.load(file, allow_pickle=False)
      if isinstance(arrays, np.ndarray):  # A .npy under another name.
        raise ValueError("holds a single array without a name")
      with arrays:
        return {name: arrays[name] for name in arrays.files}
  except (EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
    raise ValueError(str(error) or "holds nothing") from error


@contextlib.contextmanager
def lock(
  folder: Path, named: str = "", taken: str = "another run is writing there"
) -> Iterator[None]:
  """Makes a folder and keeps every other run out of it until the block ends.

  The lock is the kernel's (flock), so it ends with its process however that ends, and
  the file `.lock` that stays behind means nothing. A file system without locks gets a
  warning instead.

  Args:
    folder: what is written to.
    named: how the user named it, for the error; "--out FOLDER" by default.
    taken: the error where another run holds it.

  Raises:
    UserError: the folder cannot be written, or another run holds it.
  """
  named = named or f"--out {folder}"
  with contextlib.ExitStack() as held:
    try:
      folder.mkdir(parents=True, exist_ok=True)
      # A soft lock is a file that is there: it would outlive a killed process.
      held.enter_context(
        FileLock(folder / ".lock", blocking=False, fallback_to_soft=False)
      )
    except Timeout as error:
      raise UserError(f"{named}: {taken}") from error
    except OSError as error:
      if error.errno not in _NO_LOCKS:
        raise UserError(
          f"{named}: cannot be written ({error.strerror or error}); name another"
        ) from error
      _log.warning(
        "%s cannot be locked (%s): start no second run there", folder, error.strerror
      )
    yield
