"""What commands with a config share: its flag, help, one-line refusals, the log."""

import difflib
import logging
import sys
import textwrap
from collections.abc import Callable, Sequence

import absl.logging
from absl import app, flags
from ml_collections import ConfigDict, config_flags

from infusenet_jax.runtime.configs import (
  check_values,
  config_fields,
  config_file,
  load_config,
  shipped_names,
)
from infusenet_jax.runtime.errors import UserError

_HELP = ("-h", "-help", "--help", "--helpshort", "--helpfull")
_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "The experiment's config: one that ships, by name, or a file."
)


def run_command(
  main: Callable[[Sequence[str]], int | None],
  prog: str,
  about: str,
  own: Sequence[flags.FlagHolder],
) -> int | None:
  """Parses the command line and calls `main`, or prints the help that it asks for.

  Args:
    main: gets the arguments that are no flags, after the program's name.
    prog: how the command is typed, for the help.
    about: what the command does, and an example.
    own: its flags beside --config.
  """
  arguments = sys.argv[1:]
  if any(argument in _HELP for argument in arguments):
    print(command_help(prog, about, own, arguments), end="")
    return 0
  return app.run(main, flags_parser=parse_flags)


def command_help(
  prog: str,
  about: str,
  own: Sequence[flags.FlagHolder],
  arguments: Sequence[str] = (),
) -> str:
  """The help of a command: usage, what it does, its flags with their defaults.

  Where `arguments` name a config, its fields and their values follow.

  Raises:
    UserError: the config that they name cannot be read.
  """
  config = (
    f"{flags.FLAGS['config'].help} Those that ship: {', '.join(shipped_names())}."
  )
  entries = [("--config=NAME or FILE", config, None)]
  entries += [
    (
      "--config.FIELD=VALUE",
      "Another value of one of its fields; `--config=NAME --help` lists them.",
      None,
    )
  ]
  for holder in own:
    flag = flags.FLAGS[holder.name]
    shown = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}=..."
    if isinstance(flag, flags.EnumFlag):
      shown = f"--{flag.name}={'|'.join(flag.parser.enum_values)}"
    default = "no" if flag.default is False else flag.default
    entries.append((shown, flag.help, default))
  lines = [f"usage: {prog} --config=NAME [flags]", "", about.strip(), "", "flags:"]
  for shown, text, default in entries:
    said = f"{text} Default: {default}." if default is not None else text
    lines.append(f"  {shown}")
    lines += textwrap.wrap(said, 80, initial_indent=" " * 6, subsequent_indent=" " * 6)
  if named := _named_config(arguments):
    fields = config_fields(load_config(named))
    lines += ["", f"fields of {named} and their values:"]
    lines += [f"  --config.{name}={value}" for name, value in fields.items()]
  return "\n".join(lines) + "\n"


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
    UserError: there is none, its task is none of those, or a field holds what it
      cannot.
  """
  config = _CONFIG.value
  if config is None:
    raise UserError(
      "--config is missing; try --config=quickstart, or one of "
      f"{', '.join(shipped_names())}, or the path of a config file"
    )
  if config.task not in tasks:
    raise UserError(f"config.task is {config.task!r}; expected {' or '.join(tasks)}")
  check_values(config)
  return config


def parse_flags(arguments: Sequence[str]) -> list[str]:
  """Parses the flags as absl does, with one line for whatever is wrong with them.

  Raises:
    UserError: a flag or field does not exist or has a value of another kind, or the
      config cannot be read.
  """
  named = _named_config(arguments)
  arguments = list(arguments)
  if named is not None:
    config = load_config(named)  # All that can be wrong with the file is said here.
    arguments = _with_path(arguments, config_file(named))
  try:
    return flags.FLAGS(arguments)
  except (AttributeError, KeyError) as error:
    unknown = named and _unknown_override(config, arguments)
    raise UserError(unknown or str(error)) from error
  except (flags.Error, OSError, TypeError, ValueError) as error:
    lines = str(error).splitlines() or [type(error).__name__]
    raise UserError(lines[0]) from error


def _config_place(arguments: Sequence[str]) -> int | None:
  """Where the arguments name the config, if they do."""
  for place, argument in enumerate(arguments):
    if argument == "--":
      return None
    if argument.lstrip("-").partition("=")[0] == "config" and argument[0] == "-":
      return place
  return None


def _named_config(arguments: Sequence[str]) -> str | None:
  place = _config_place(arguments)
  if place is None:
    return None
  _, equals, value = arguments[place].partition("=")
  return value if equals else " ".join(arguments[place + 1 : place + 2])


def _with_path(arguments: list[str], path: str) -> list[str]:
  """The arguments with the config's path for its name."""
  place = _config_place(arguments)
  rest = place + (1 if "=" in arguments[place] else 2)
  return [*arguments[:place], f"--config={path}", *arguments[rest:]]


def _unknown_override(config: ConfigDict, arguments: Sequence[str]) -> str | None:
  known = config_fields(config)
  for argument in arguments[1:]:
    name = argument.lstrip("-").split("=")[0]
    if not name.startswith("config.") or name.removeprefix("config.") in known:
      continue
    nearest = difflib.get_close_matches(name.removeprefix("config."), known, 1, 0)
    return f"--{name} is no field of the config; the nearest is --config.{nearest[0]}"
  return None
