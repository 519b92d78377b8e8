"""The folder of one run: its lock, its config and records, and where its files lie."""

import contextlib
import importlib.metadata
import json
import logging
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from infusenet_jax.runtime.devices import is_main, wait_for_all
from infusenet_jax.runtime.errors import Preempted, UserError
from infusenet_jax.runtime.files import lock, read_json, write_atomically
from infusenet_jax.runtime.run_files import CONFIG, LOG, RECORDS

_PACKAGES = (
  "infusenet-jax",
  "jax",
  "flax",
  "optax",
  "orbax-checkpoint",
  "tensorflow-datasets",
  "grain",
  "ml-collections",
  "numpy",
  "opencv-python-headless",
)

# Fields that kept configs may be older than, and what was done before.
_NEWER = {"simulated.offset": False, "model.detached": False}


@contextlib.contextmanager
def claim(workdir: str | Path, config: ConfigDict) -> Iterator[Path]:
  """Locks `workdir` for a run of `config`, which may be new or have been begun there.

  If several processes train together, the first one locks it for all.

  Raises:
    UserError: another run is using the folder, the folder holds a run of another
      config, or it cannot be written or is a URL.
  """
  if "://" in str(workdir):
    raise UserError(
      f"--workdir={workdir}: is a URL; mount what lies there on every machine (NFS, "
      "Filestore, Lustre), and give the path (docs/clusters.md)"
    )
  folder = Path(workdir).absolute()
  if not is_main():
    wait_for_all("the workdir is claimed")
    yield folder
    return
  taken = "another run is using it; wait for that one, or name another --workdir"
  with lock(folder, f"--workdir={workdir}", taken):
    _check_config(folder / CONFIG, config)
    wait_for_all("the workdir is claimed")
    with _log_file(folder / LOG):
      yield folder


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
  """Adds to a file what is logged until the block ends, and what ended it.

  A disk that takes no more ends nothing: the run itself says so where it must.
  """
  try:
    handler = logging.FileHandler(path, encoding="utf-8")
  except OSError:
    yield
    return
  handler.handleError = lambda record: None
  handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
  log = logging.getLogger("infusenet_jax")
  log.addHandler(handler)
  try:
    yield
  except (Exception, Preempted, KeyboardInterrupt) as error:
    said = f"{type(error).__name__}: {error}"
    handler.emit(log.makeRecord(log.name, logging.ERROR, "", 0, said, (), None))
    raise
  finally:
    log.removeHandler(handler)
    with contextlib.suppress(OSError):
      handler.close()


def log_printed(workdir: str | Path, text: str) -> None:
  """Adds to a run's log file what its command prints in the end."""
  path = Path(workdir) / LOG
  if is_main() and path.exists():
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
      file.write(text)


def keep_config(workdir: Path, config: ConfigDict, records: dict[str, str]) -> None:
  """Writes config.json and records.json; called when all checks have passed.

  Args:
    workdir: of the run.
    config: of the run.
    records: {database: fingerprint of its records}.

  Raises:
    UserError: the run in `workdir` began with other `records`.
  """
  if not is_main():
    return
  path = workdir / RECORDS
  advice = "name another --workdir"
  if path.exists() and (before := read_json(path, advice)) != records:
    keys = sorted(before.keys() | records.keys())
    changed = [key for key in keys if before.get(key) != records.get(key)]
    raise UserError(
      f"{path}: this workdir's run began with other records of {', '.join(changed)}; "
      "put those back, or name another --workdir"
    )
  write_atomically(path, json.dumps(records, indent=2) + "\n")
  write_atomically(workdir / CONFIG, json.dumps(_as_json(config), indent=2) + "\n")


def _as_json(config: ConfigDict) -> dict[str, Any]:
  return json.loads(config.to_json_best_effort())


def _check_config(path: Path, config: ConfigDict) -> None:
  if not path.exists():
    return
  theirs = read_json(path, "name another --workdir")
  if differences := config_differences(theirs, config):
    raise UserError(
      f"{path}: this workdir holds another run ({'; '.join(differences)}); "
      "name another --workdir, or run the config that is there"
    )


def config_differences(kept: dict[str, Any], config: ConfigDict) -> list[str]:
  """Lists the fields in which `config` differs from a kept config.json, in words.

  The fields of `config.mesh` and `config.report` do not count: a run may be resumed on
  other devices, and its report written in another way. A field that is newer than a
  kept config is in it what it is by default.
  """
  theirs, ours = (
    {
      name: value
      for name, value in (_NEWER | flatten(given)).items()
      if not name.startswith(("mesh.", "report."))
    }
    for given in (kept, _as_json(config))
  )
  absent = "absent"
  pairs = {
    name: (theirs.get(name, absent), ours.get(name, absent))
    for name in sorted(theirs.keys() | ours.keys())
  }
  return [
    f"config.{name} is {there} there and {here} here"
    for name, (there, here) in pairs.items()
    if there != here
  ]


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
  """Flattens a nested config to {"train.epochs": 200, ...}."""
  flat = {}
  for name, value in config.items():
    if isinstance(value, dict):
      flat |= flatten(value, f"{prefix}{name}.")
    else:
      flat[prefix + name] = value
  return flat


def versions() -> dict[str, str]:
  """Collects the versions of packages and of Python, and the devices, by name."""
  found = {}
  for name in _PACKAGES:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      found[name] = importlib.metadata.version(name)
  devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
  return found | {"python": platform.python_version(), "devices": devices}
