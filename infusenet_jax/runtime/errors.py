"""The exceptions that commands turn into a single line instead of a traceback."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

# What batch systems read as "try again": EX_TEMPFAIL of sysexits.h.
REQUEUE = 75


class UserError(Exception):
  """Something that the user can put right.

  The message is one line: it names the file or field, what was found, what was
  expected and what to do.
  """


class Preempted(BaseException):
  """Raised after SIGTERM, once the state is saved: the same command goes on from there.

  It is not an `Exception`, so that code that catches those, taking them for signs of a
  damaged file, does not catch this one.
  """


class OneLineParser(argparse.ArgumentParser):
  """Says in one line, by `UserError`, what is wrong with a command's flags."""

  def error(self, message: str) -> NoReturn:
    raise UserError(f"{message}; --help shows what there is")


def exit_with_one_line(command: Callable[[], int | None]) -> None:
  """Runs `command` and exits with its status; with 2 after a `UserError`, with 75
  after `Preempted`, with 130 after Ctrl-C."""
  try:
    sys.exit(command() or 0)
  except UserError as error:
    sys.exit(_say(f"error: {error}", 2))
  except Preempted as error:
    sys.exit(_say(f"stopped: {error}", REQUEUE))
  except KeyboardInterrupt:
    _say("interrupted: what was finished is kept; run it again to go on", 130)
    # JAX, interrupted while it compiles, crashes in Python's normal exit.
    os._exit(130)


def _say(line: str, status: int) -> int:
  print(line, file=sys.stderr)
  return status
