"""Reads files, writes them all or nothing, and locks folders. Needs no JAX."""

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

# The errors of flock on a file system without locks: NFS without its lock daemon,
# Lustre mounted without locks, some FUSE file systems.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def write_atomically(path: str | os.PathLike, content: str | bytes) -> None:
  """Writes a file in one step: if the process is killed, the old file is still there.

  Args:
    path: of the file.
    content: bytes, or text that is written in UTF-8 with its line ends as they are.

  Raises:
    UserError: the disk is full, or the file may not be written.
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
  """Reads a JSON file that holds an object and returns its fields.

  Args:
    path: of the file.
    advice: what the user can do if it cannot be read; the end of the error message.

  Raises:
    UserError: the file is missing, unreadable or not JSON, or holds no object.
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
  """Reads the arrays of a .npz file by name; pickled objects in it are refused.

  Raises:
    ValueError: it is not a .npz file, or holds a single array without a name.
    OSError: the file cannot be opened or read.
  """
  try:
    with open(path, "rb") as file:
      arrays = np.load(file, allow_pickle=False)
      if isinstance(arrays, np.ndarray):  # The file is really a .npy.
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

  The kernel holds the lock (flock) and releases it whenever the process ends, even if
  it is killed; the file `.lock` that stays behind locks nothing. On a file system
  without locks there is a warning instead of a lock.

  Args:
    folder: the folder to be written to.
    named: the flag by which the user named it, for the error message; "--out FOLDER" by
      default.
    taken: the error message if another run holds the lock.

  Raises:
    UserError: the folder cannot be written, or another run holds the lock.
  """
  named = named or f"--out {folder}"
  with contextlib.ExitStack() as held:
    try:
      folder.mkdir(parents=True, exist_ok=True)
      # A soft lock is a mere file, which a killed process would leave behind.
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
