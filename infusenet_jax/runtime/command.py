"""What commands with a config share: its flag, one-line refusals, the log."""

import difflib
import logging
import re
import runpy
import sys
from collections.abc import Sequence

import absl.logging
from absl import flags
from ml_collections import ConfigDict, config_flags

from infusenet_jax.runtime.errors import UserError

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "The experiment's config file."
)


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


def read_config(tasks: Sequence[str]) -> ConfigDict:
  """The config that the flags name, with their overrides; `tasks` may be its `task`.

  Raises:
    UserError: there is none, it cannot be read, or its task is none of those.
  """
  config = _CONFIG.value
  if config is None:
    raise UserError("--config is missing; try --config=configs/quickstart.py")
  try:
    task = config.task
  except OSError as error:  # The flag's value reports a failure only when it is read.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raise UserError(f"--config: {lines[0].split(': ')[-1]} ({lines[-1]})") from error
  if task not in tasks:
    raise UserError(f"config.task is {task!r}; expected {' or '.join(tasks)}")
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
