"""Trains and evaluates a config: flags, log, and the call.

python -m infusenet_jax.main --config=configs/quickstart.py
python -m infusenet_jax.main --config=configs/cd6me.py --config.train.epochs=2

On several machines every process runs the same command with --distributed.
"""

import difflib
import faulthandler
import importlib
import logging
import os
import re
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import absl.logging
import jax
from absl import app, flags
from ml_collections import ConfigDict, config_flags

from infusenet_jax.errors import REQUEUE, UserError, exit_with_one_line
from infusenet_jax.parallel import is_main, join_processes, keep_compiled, lost_process
from infusenet_jax.stopping import obey_sigterm

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "The experiment's config file."
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of this run; runs/<name of the config> by default."
)
_DISTRIBUTED = flags.DEFINE_bool(
  "distributed",
  False,
  "Train together with the other processes of this TPU pod, SLURM or GKE job, or with "
  "those that --coordinator, --processes and --process name.",
)
_COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0.")
_PROCESSES = flags.DEFINE_integer("processes", None, "How many there are.")
_PROCESS = flags.DEFINE_integer("process", None, "Which one this is, from 0.")

# What runs a config, by its field `task`; imported only when asked for.
TASKS = {
  "cd6me": ("infusenet_jax.train", "train_and_evaluate"),
  "magnifier": ("infusenet_jax.magnify", "pretrain"),
  "study": ("infusenet_jax.study", "run"),
}


def main(arguments: Sequence[str]) -> None:
  """Runs the config that the flags name."""
  if arguments[1:]:
    raise UserError(
      f"{arguments[1]!r} is no flag; overrides look like --config.train.epochs=2"
    )
  config = read_config()
  start_log()
  keep_compiled()
  _join_processes()
  module, function = TASKS[config.task]
  run = getattr(importlib.import_module(module), function)
  with obey_sigterm():
    run(config, _WORKDIR.value or Path("runs") / config.name)


def _join_processes() -> None:
  given = (_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
  if not _DISTRIBUTED.value:
    if given != (None, None, None):
      raise UserError("--coordinator, --processes and --process need --distributed")
    return
  if None in given and given != (None, None, None):
    raise UserError(
      "--coordinator, --processes and --process are given all three or not at all"
    )
  join_processes(*given)
  # Process 0 gone, JAX aborts the others with a line of its own; no stacks after it.
  faulthandler.disable()
  if not is_main():  # One voice for all.
    logging.getLogger("infusenet_jax").setLevel(logging.WARNING)


def start_log() -> None:
  """This package's messages on stderr with the time, nothing of Orbax."""
  handler = logging.StreamHandler(sys.stderr)
  handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
  log = logging.getLogger("infusenet_jax")
  log.addHandler(handler)
  log.setLevel(logging.INFO)
  log.propagate = False
  # Orbax logs tracebacks of every error that it then raises.
  absl.logging.set_verbosity(absl.logging.FATAL)
  logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def read_config() -> ConfigDict:
  """The config that the flags name, with their overrides.

  Raises:
    UserError: there is none, it cannot be read, or its task is unknown.
  """
  config = _CONFIG.value
  if config is None:
    raise UserError("--config is missing; try --config=configs/quickstart.py")
  try:
    task = config.task
  except OSError as error:  # The flag's value reports a failure only when it is read.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raise UserError(f"--config: {lines[0].split(': ')[-1]} ({lines[-1]})") from error
  if task not in TASKS:
    raise UserError(f"config.task is {task!r}; expected one of {', '.join(TASKS)}")
  return config


def parse_flags(arguments: Sequence[str]) -> list[str]:
  """absl's parser, with one line for an override of a field that does not exist."""
  try:
    return flags.FLAGS(list(arguments))
  except (AttributeError, KeyError) as error:
    raise UserError(_unknown_override(arguments) or str(error)) from error
  except (flags.Error, OSError, TypeError, ValueError) as error:
    lines = str(error).splitlines() or [type(error).__name__]
    raise UserError(lines[0]) from error


def _unknown_override(arguments: Sequence[str]) -> str | None:
  # The parser keeps no config after a failure, so the file is read once more.
  given = re.search(r"(?:^| )--?config[= ](\S+)", " ".join(arguments))
  if given is None:
    return None
  path, *argument = given[1].split(":")
  known = _fields(runpy.run_path(path)["get_config"](*argument))
  for argument in arguments[1:]:
    name = argument.lstrip("-").split("=")[0]
    if not name.startswith("config.") or name.removeprefix("config.") in known:
      continue
    nearest = difflib.get_close_matches(name.removeprefix("config."), known, 1, 0)
    return f"--{name} is no field of the config; the nearest is --config.{nearest[0]}"
  return None


def _fields(config: ConfigDict, prefix: str = "") -> list[str]:
  fields = []
  for name, value in config.items():
    if isinstance(value, ConfigDict):
      fields += _fields(value, f"{prefix}{name}.")
    else:
      fields.append(prefix + name)
  return fields


def start() -> None:
  """The command: `main` with its flags, and every way out of it."""
  try:
    exit_with_one_line(lambda: app.run(main, flags_parser=parse_flags))
  except BaseException as error:
    status = error.code if isinstance(error, SystemExit) else 1
    if status in (0, None, REQUEUE) or not jax.distributed.is_initialized():
      raise
    if lost := lost_process(error):
      print(f"stopped: {lost}", file=sys.stderr)
      status = REQUEUE
    elif not isinstance(error, SystemExit):
      traceback.print_exc()
    # Python's own way out would wait for the other processes, which wait for this one.
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
  start()
