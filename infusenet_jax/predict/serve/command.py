"""Opens a page for videos on this computer: drop one, read its report, correct it.

    python -m infusenet_jax.predict.serve
    python -m infusenet_jax.predict.serve --run runs/cd6me --run runs/mine
    INFUSENET_PASSWORD=... python -m infusenet_jax.predict.serve --host 0.0.0.0

It does what `python -m infusenet_jax.predict` does, for those who do not type. Nothing
leaves this computer: the page loads nothing from elsewhere, and only this computer can
open it unless --host says otherwise; then there must be a password. On a computer that
several people use at a time give a password, too. Videos and results are deleted when
the server ends (Ctrl-C).

Needs the extra `app`: pip install "infusenet-jax[app]".
"""

import argparse
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path

from infusenet_jax.predict.serve.guard import Guard, is_loopback
from infusenet_jax.predict.serve.task import Weights
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock

PASSWORD = "INFUSENET_PASSWORD"
LEAST_LETTERS = 8  # Of a password.
SHIPPED = "those that ship with the package"
_PREFIX = "infusenet-serve-"
_NEW = 60  # Seconds in which a folder may not be locked yet.
_NEEDED = ("gradio", "fastapi", "uvicorn")
# Before Gradio is imported: it counts no visits and fetches nothing.
_QUIET = {
  "GRADIO_ANALYTICS_ENABLED": "False",
  "GRADIO_RUN_HISTORY": "False",
  "GRADIO_SHARE": "False",
  "HF_HUB_OFFLINE": "1",
  "HF_HUB_DISABLE_TELEMETRY": "1",
}


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; `python -m infusenet_jax.predict.serve --help` explains it."""
  options = _parser().parse_args(arguments)
  password = _password(options)
  missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
  if missing:
    raise UserError(
      f"the page needs {', '.join(missing)}, not installed here; install the extra app:"
      ' pip install "infusenet-jax[app]", or pip install -e ".[app]" in a clone'
    )
  listener = _listen(options.host, options.port)
  os.environ.update(_QUIET)
  # Uvicorn raises what it was ended by again, and SIGTERM would leave the files behind.
  before = signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    with listener, _folder() as folder:
      _serve(options, listener, folder, password)
  except KeyboardInterrupt:
    print("ended; videos and results are deleted", flush=True)
  finally:
    signal.signal(signal.SIGTERM, before)
  return 0


def _serve(
  options: argparse.Namespace,
  listener: socket.socket,
  folder: Path,
  password: str | None,
) -> None:
  os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
  # These take a second and more, and Gradio reads what was set above.
  import uvicorn

  from infusenet_jax.predict.serve.desk import Desk
  from infusenet_jax.predict.serve.look import work
  from infusenet_jax.predict.serve.web import build_app

  weights = _weights(options.run)
  desk = Desk(folder / "videos", work)
  try:
    app = Guard(build_app(desk, weights), options.host, password)
    address = _address(options.host, listener.getsockname()[1])
    print(f"Open {address} in a browser. Ctrl-C ends the server.", flush=True)
    if password is not None:
      print("It asks for a name, which may be any, and the password.", flush=True)
    if options.browser and is_loopback(options.host):
      opener = threading.Timer(1, webbrowser.open, [address])
      opener.daemon = True
      opener.start()
    config = uvicorn.Config(
      app,
      log_level="error",
      server_header=False,
      timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])
  finally:
    desk.close()


def _weights(runs: Sequence[Path]) -> list[Weights]:
  """What can be chosen; raises UserError where a run is none."""
  from infusenet_jax.predict.weights.networks import SHIPPED as FILE
  from infusenet_jax.predict.weights.packed import read_packed
  from infusenet_jax.training.trained import open_run

  found = []
  for run in runs:
    if run.is_file():
      simulated = bool(read_packed(run).card.get("simulated"))
    else:
      simulated = open_run(run).simulated
    found.append(Weights(str(run), run.resolve(), simulated))
  if FILE.is_file():
    found.append(Weights(SHIPPED, None, True))
  if not found:
    raise UserError("no trained weights ship with this version; name a run with --run")
  return found


def _password(options: argparse.Namespace) -> str | None:
  password = options.password or os.environ.get(PASSWORD) or None
  if password is not None and len(password) < LEAST_LETTERS:
    raise UserError(
      f"the password has {len(password)} letters, expected at least {LEAST_LETTERS}"
    )
  if password is None and not is_loopback(options.host):
    raise UserError(
      f"--host {options.host}: others could reach it and see the videos; give a"
      f" password in the environment variable {PASSWORD} or with --password"
    )
  return password


def _listen(host: str, port: int) -> socket.socket:
  """A socket that listens there."""
  if not 0 <= port < 1 << 16:
    raise UserError(f"--port {port}: expected a number from 0 to 65535")
  try:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family)
  except OSError as error:
    reason = error.strerror or error
    raise UserError(
      f"--host {host} --port {port}: cannot listen there ({reason}); name another port"
    ) from error


def _address(host: str, port: int) -> str:
  known = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}
  name = known.get(host, host)
  return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
  """A folder for everything that one server writes, which it does not outlive.

  Folders of servers that were killed are removed, too.
  """
  _remove_left_behind()
  folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
  before = tempfile.tempdir
  try:
    with lock(folder):
      tempfile.tempdir = str(folder)
      yield folder
  finally:
    tempfile.tempdir = before
    shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind() -> None:
  for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
    with contextlib.suppress(UserError, OSError):
      about = folder.stat()
      if hasattr(os, "getuid") and about.st_uid != os.getuid():
        continue
      if time.time() - about.st_mtime < _NEW:
        continue
      with lock(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.predict.serve",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add(
    "--run",
    type=Path,
    action="append",
    default=[],
    help="a finished run's folder, or weights that were packed; may be given again",
  )
  add("--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
  add("--port", type=int, default=7860, help="(default: 7860; 0 takes a free one)")
  add(
    "--password",
    help=f"to be asked for; {PASSWORD} in the environment is not shown to others",
  )
  add(
    "--no-browser",
    dest="browser",
    action="store_false",
    help="do not open a browser",
  )
  return parser
