"""Files that are whole or not there. Needs no JAX."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from infusenet_jax.runtime.errors import UserError


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


@contextlib.contextmanager
def lock(out: Path) -> Iterator[None]:
  """Makes the folder and keeps a second run out of it.

  Raises:
    UserError: it cannot be written, or another run is at work.
  """
  try:
    out.mkdir(parents=True, exist_ok=True)
    file = (out / ".lock").open("w")
  except OSError as error:
    raise UserError(f"--out {out}: cannot be written ({error.strerror})") from error
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise UserError(f"--out {out}: another run is writing there") from error
    except OSError:
      pass  # Some network file systems know no locks.
    yield
