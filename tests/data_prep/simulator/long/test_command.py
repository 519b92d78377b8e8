"""`python -m data_prep simulate --long`: its flags, and what it refuses."""

import argparse
from pathlib import Path

import pytest

from data_prep.simulator import command
from data_prep.simulator.long.videos import LongParameters
from infusenet_jax.runtime.errors import UserError


def parse(*flags: str) -> argparse.Namespace:
  parser = argparse.ArgumentParser()
  command.add_arguments(parser)
  return parser.parse_args(["--out", "long", *flags])


@pytest.fixture
def made(monkeypatch) -> list[tuple[Path, LongParameters]]:
  """What would have been simulated."""
  calls = []

  def simulate(root, parameters):
    calls.append((root, parameters))
    return []

  monkeypatch.setattr(command, "simulate_long", simulate)
  return calls


def test_flags_become_parameters(made, capsys):
  command.run(parse("--long", "3"))
  flags = ("--seconds", "30", "--fps", "50,200", "--size", "640x480", "--seed", "2")
  command.run(parse("--long", "3", *flags))
  assert made[0] == (Path("long"), LongParameters(long=3))
  assert made[1][1] == LongParameters(
    long=3, seed=2, seconds=30.0, rates=(50.0, 200.0), size=(640, 480)
  )
  assert "intervals.csv holds the truth" in capsys.readouterr().out


@pytest.mark.parametrize(
  ("flags", "said"),
  [
    (("--long", "0"), "--long 0"),
    (("--long", "2", "--seconds", "2"), "--seconds 2"),
    (("--long", "2", "--fps", "10"), "--fps 10"),
    (("--long", "2", "--fps", "fast"), "--fps fast"),
    (("--long", "2", "--size", "321x240"), "--size 321x240"),
    (("--long", "2", "--size", "640"), "--size 640"),
    (("--long", "2", "--nuisance", "9"), "--nuisance=9"),
    (("--long", "2", "--seed", "-1"), "--seed=-1"),
    (("--long", "2", "--scale", "0.5", "--still"), "--scale, --still"),
    (("--fps", "50"), "give --long N too"),
  ],
)
def test_what_cannot_be_is_refused_in_one_line(flags, said, made):
  with pytest.raises(UserError) as error:
    command.run(parse(*flags))
  assert said in str(error.value) and "\n" not in str(error.value)
  assert not made
