"""Trains and tests what a config describes, and writes tables and a report.

  python -m infusenet_jax.main --config=quickstart
  python -m infusenet_jax.main --config=cd6me --config.train.epochs=2

The same command goes on with a run that was stopped. On several machines every process
runs it with --distributed.
"""

import faulthandler
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import jax
from absl import flags
from ml_collections import ConfigDict

from infusenet_jax.runtime.command import read_config, run_command, start_log
from infusenet_jax.runtime.devices import (
  is_main,
  join_processes,
  keep_compiled,
  keep_freed_memory,
  lost_process,
)
from infusenet_jax.runtime.errors import REQUEUE, UserError, exit_with_one_line
from infusenet_jax.runtime.preemption import obey_sigterm
from infusenet_jax.runtime.workdir import log_printed
from infusenet_jax.training import distill, study, svm
from infusenet_jax.training.magnifier.pretrain import pretrain
from infusenet_jax.training.run import train_and_evaluate

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


_FLAGS = (_WORKDIR, _DISTRIBUTED, _COORDINATOR, _PROCESSES, _PROCESS)
PROG = "python -m infusenet_jax.main"


def _train(config: ConfigDict, workdir: str | Path) -> str | None:
  results = train_and_evaluate(config, workdir)
  return results and results.text()


# The function that runs a config, by the config's field `task`. It returns the text to
# be printed, or None.
TASKS = {
  "cd6me": _train,
  "magnifier": pretrain,
  "study": study.run,
  "distill": distill.run,
  "svm": svm.run,
}


def main(arguments: Sequence[str]) -> None:
  """Runs the config that the flags name."""
  if arguments[1:]:
    raise UserError(
      f"{arguments[1]!r} is no flag; overrides look like --config.train.epochs=2"
    )
  config = read_config(tuple(TASKS))
  start_log()
  keep_freed_memory()
  keep_compiled()
  _join_processes()
  workdir = _WORKDIR.value or Path("runs") / config.name
  with obey_sigterm():
    text = TASKS[config.task](config, workdir)
  if text:
    print(text, end="")
    log_printed(workdir, text)


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
  # When process 0 dies, JAX aborts the others with one line; without this, Python would
  # print the stacks of all threads after it.
  faulthandler.disable()
  if not is_main():  # Only the first process logs its progress.
    logging.getLogger("infusenet_jax").setLevel(logging.WARNING)


def start() -> None:
  """Runs `main` as a command and ends the process with the right exit status."""
  try:
    exit_with_one_line(lambda: run_command(main, PROG, __doc__, _FLAGS))
  except BaseException as error:
    status = error.code if isinstance(error, SystemExit) else 1
    if status in (0, None, REQUEUE) or not jax.distributed.is_initialized():
      raise
    if lost := lost_process(error):
      print(f"stopped: {lost}", file=sys.stderr)
      status = REQUEUE
    elif not isinstance(error, SystemExit):
      traceback.print_exc()
    # Python's normal exit would wait for the other processes, which wait for this one.
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
  start()
