"""`infusenet-jax` and `python -m infusenet_jax`: lists the commands, and runs one.

Each is a command of its own, too: `python -m infusenet_jax.main` and so on.
"""

import importlib.util
import runpy
import sys
from collections.abc import Sequence

from infusenet_jax.runtime.errors import UserError, exit_with_one_line

# By name: the module that is run, the arguments that the name stands for, its line.
COMMANDS = {
  "main": (
    "infusenet_jax.main",
    (),
    "train and test what a config describes, such as --config=quickstart",
  ),
  "predict": ("infusenet_jax.predict.__main__", (), "find the action units in a video"),
  "magnify": ("infusenet_jax.predict.magnify.__main__", (), "magnify a video's motion"),
  "export": ("infusenet_jax.predict.export.__main__", (), "write networks as one file"),
  "serve": (
    "infusenet_jax.predict.serve.__main__",
    (),
    "open a page on this computer that does what predict does",
  ),
  "evaluate": (
    "infusenet_jax.evaluate.__main__",
    (),
    "score predictions of any team, rewrite a run's tables, compare runs",
  ),
  "artefacts": (
    "infusenet_jax.artefacts.__main__",
    (),
    "measure where trained networks look, and what noise makes them say",
  ),
  "benchmark": (
    "infusenet_jax.benchmark.__main__",
    (),
    "time a config's compiled steps",
  ),
  "simulate": ("data_prep.__main__", ("simulate",), "write simulated databases"),
  "check": (
    "data_prep.__main__",
    ("check",),
    "say what is found in folders of databases",
  ),
  "build": ("data_prep.__main__", ("build",), "make the records that training reads"),
  "inspect": ("data_prep.__main__", ("inspect",), "draw a sheet of what build wrote"),
}


def commands() -> dict[str, tuple[str, tuple[str, ...], str]]:
  """Those of `COMMANDS` whose modules are installed."""
  return {
    name: command
    for name, command in COMMANDS.items()
    if importlib.util.find_spec(command[0])
  }


def overview() -> str:
  """The commands with a line each, and how they are typed."""
  known = commands()
  width = max(map(len, known)) + 2
  lines = ["usage: infusenet-jax COMMAND [flags]", ""]
  lines += ["Trains, tests and uses networks for micro-expression action units.", ""]
  lines += [f"  {name:{width}}{line}" for name, (_, _, line) in known.items()]
  lines += ["", "infusenet-jax COMMAND --help shows a command's flags and an example."]
  lines += ["The first one to try: infusenet-jax main --config=quickstart"]
  return "\n".join(lines) + "\n"


def run(arguments: Sequence[str]) -> int | None:
  """Runs the command that the first argument names with the others.

  Without any, or with --help, the commands are listed.

  Raises:
    UserError: there is no such command.
  """
  if not arguments or arguments[0] in ("-h", "--help", "help"):
    print(overview(), end="")
    return 0
  if arguments[0] not in commands():
    raise UserError(
      f"{arguments[0]!r} is no command; expected one of {', '.join(commands())}"
    )
  module, before, _ = COMMANDS[arguments[0]]
  sys.argv = [f"python -m {module.removesuffix('.__main__')}", *before, *arguments[1:]]
  runpy.run_module(module, run_name="__main__", alter_sys=True)
  return 0


def main() -> None:
  """The command, and every way out of it."""
  exit_with_one_line(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
  main()
