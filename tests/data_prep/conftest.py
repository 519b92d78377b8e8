"""The commands as a user meets them."""

import re
import sys

import pytest

from data_prep.__main__ import main
from infusenet_jax.runtime.errors import exit_with_one_line

PROGRESS = re.compile(r"\d+/\d+ \[")


@pytest.fixture
def command(monkeypatch, capsys):
  """Runs `python -m data_prep ...` in this process: (exit status, stdout, lines)."""

  def run(*arguments):
    monkeypatch.setattr(sys, "argv", ["data_prep", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
      exit_with_one_line(main)
    captured = capsys.readouterr()
    # The progress bar rewrites its line with carriage returns.
    lines = captured.err.replace("\r", "\n").splitlines()
    lines = [line for line in lines if line.strip() and not PROGRESS.search(line)]
    assert not any("Traceback" in line for line in lines)
    return caught.value.code, captured.out, lines

  return run
