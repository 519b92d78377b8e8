"""`python -m infusenet_jax`, the help of every command, and the installed package."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infusenet_jax import __main__ as overview
from infusenet_jax import main
from infusenet_jax.benchmark import command as benchmark
from infusenet_jax.runtime.command import command_help
from infusenet_jax.runtime.errors import UserError

ROOT = Path(__file__).parents[1]


def test_every_command_has_a_line(capsys):
  assert overview.run([]) == 0
  said = capsys.readouterr().out
  for name, (_, _, line) in overview.commands().items():
    assert re.search(rf"^  {name} +{re.escape(line)}$", said, re.MULTILINE)
  assert max(map(len, said.splitlines())) < 81
  assert overview.run(["--help"]) == 0


def test_an_unknown_command_is_told_those_that_there_are():
  with pytest.raises(UserError, match="'train' is no command; expected one of main"):
    overview.run(["train"])


@pytest.mark.parametrize(
  "name",
  ["magnify", "export", "serve", "evaluate", "artefacts", "check", "build", "inspect"],
)
def test_help_ends_well_and_has_an_example(name, capsys, monkeypatch):
  monkeypatch.setattr(sys, "argv", sys.argv)
  with pytest.raises(SystemExit) as ended:
    overview.run([name, "--help"])
  said = capsys.readouterr().out
  module = overview.COMMANDS[name][0].removesuffix(".__main__")
  assert ended.value.code == 0
  assert re.search(rf"^  +python -m {module} .*-", said, re.MULTILINE)


@pytest.mark.parametrize("module", [main, benchmark])
def test_help_shows_a_commands_own_flags_with_their_defaults(module):
  said = command_help(module.PROG, module.__doc__, module._FLAGS)
  shown = re.findall(r"^  --(?:\[no\])?([a-z_]+)", said, re.MULTILINE)
  own = [holder.name for holder in module._FLAGS]
  assert shown == ["config", "config", *own]
  assert f"  {module.PROG} --config=" in said
  if module is benchmark:
    assert "Timed calls of a step or epoch. Default: 5." in said


def test_help_beside_a_config_lists_its_fields():
  said = command_help(main.PROG, "About.", (), ["--config=study:models", "--help"])
  assert "  --config.train.epochs=16\n" in said and "  --config.only=\n" in said


def test_help_of_a_command_with_a_config_ends_with_status_0():
  command = [sys.executable, "-m", "infusenet_jax", "benchmark", "--help"]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert (done.returncode, done.stderr) == (0, "") and "--peer=torch" in done.stdout


def make_wheel(folder: Path) -> Path:
  """Makes the project's wheel, as a release does."""
  pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
  make = [*pip, "wheel", "--no-deps", "-w", str(folder), str(ROOT)]
  subprocess.run(make, check=True, timeout=300)
  (wheel,) = folder.iterdir()
  return wheel


@pytest.mark.release
def test_an_installed_wheel_trains_by_a_configs_name_in_an_empty_folder(tmp_path):
  site, empty = tmp_path / "site", tmp_path / "empty"
  empty.mkdir()
  wheel = make_wheel(tmp_path / "wheels")
  with zipfile.ZipFile(wheel) as file:
    names = file.namelist()
    file.extractall(site)
  assert "infusenet_jax/configs/quickstart.py" in names
  assert {name.split("/")[0].split("-")[0] for name in names} == {
    *("infusenet_jax", "data_prep")
  }
  environment = os.environ | {"PYTHONPATH": str(site)}
  run = [sys.executable, "-m", "infusenet_jax", "main"]
  run += ["--config=baselines:ststnet,quickstart", "--workdir=run"]
  run += ["--config.simulated.scale=0.03", "--config.folds=samm"]
  run += ["--config.train.epochs=1"]
  done = subprocess.run(
    run, cwd=empty, env=environment, capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  assert "simulated data" in done.stdout and (empty / "run" / "report.html").exists()


@pytest.mark.release
def test_a_wheel_in_a_new_environment_runs_the_quickstart_and_tests_of_tables(tmp_path):
  bin, empty = tmp_path / "venv" / "bin", tmp_path / "empty"
  empty.mkdir()
  clean = {name: x for name, x in os.environ.items() if name != "PYTHONPATH"}

  def run(*command: object) -> str:
    done = subprocess.run(
      [str(word) for word in command],
      **{"cwd": empty, "env": clean, "capture_output": True, "text": True},
      check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout

  run(sys.executable, "-m", "venv", bin.parent)
  pip = (bin / "python", "-m", "pip", "--disable-pip-version-check", "-q", "install")
  run(*pip, make_wheel(tmp_path / "wheels"), "pytest")
  small = ["--config.simulated.scale=0.03", "--config.folds=casme2,samm"]
  small += ["--config.train.epochs=1", "--workdir=run"]
  printed = run(bin / "infusenet-jax", "main", "--config=quickstart", *small)
  assert "AU table (simulated data)" in printed
  again = run(bin / "infusenet-jax", "evaluate", "--run", "run")
  # Before its tables the run says what it simulated.
  assert printed.split("Written to")[0].endswith(again.split("Written to")[0])
  shutil.copy(ROOT / "tests" / "evaluate" / "test_tables.py", empty)
  assert " passed" in run(bin / "python", "-m", "pytest", "test_tables.py")
  assert {path.name for path in empty.iterdir()} >= {"data", "run"}
