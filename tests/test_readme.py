"""README's commands: each exists with its flags, and each runs on tiny data.

A command of README that is not in `COMMANDS` fails a test: say there what is run in its
place, or that nothing is and why.
"""

import contextlib
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from infusenet_jax import __main__ as overview
from infusenet_jax import main
from infusenet_jax.benchmark import command as benchmark
from infusenet_jax.runtime.command import command_help
from infusenet_jax.runtime.configs import config_fields, load_config

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# What is run in the place of each command, in this order, {out} being an empty folder:
# data that are there, few clips and epochs.
SMALL = "--config.train.epochs=1 --config.simulated.scale=0.02"
TINY = "--config.image_size=32 --config.model.width=4 --config.seeds=45,"
QUICK = f"{SMALL} --config.folds=casme2,samm --config.simulated.dir={{out}}/simulated"
# In the place of the databases that README's reader has.
DATABASES = "python -m data_prep simulate --scale 0.02 --out {out}/databases"
COMMANDS = {
  "bash launch/quickstart.sh": (
    f"bash launch/quickstart.sh --workdir={{out}}/run {QUICK}"
  ),
  "bash launch/test.sh": "bash launch/test.sh tests/clips/test_labels.py",
  "python -m infusenet_jax": "python -m infusenet_jax",
  "python -m data_prep simulate --long 1 --fps 60 --out long": (
    "python -m data_prep simulate --long 1 --fps 60 --seconds 6 --out {out}/long"
  ),
  "python -m infusenet_jax.predict long/01_expressions_60fps.mp4 --out seen": (
    "python -m infusenet_jax.predict {out}/long/01_expressions_60fps.mp4"
    " --out {out}/seen"
  ),
  "python -m infusenet_jax.predict VIDEO": (
    "python -m infusenet_jax.predict {out}/long/01_expressions_60fps.mp4"
    " --out {out}/seen"
  ),
  "python -m infusenet_jax.predict VIDEO --out seen": (
    "python -m infusenet_jax.predict {out}/long/01_expressions_60fps.mp4"
    " --out {out}/again --no-pictures"
  ),
  # Without a video it says in one line what it needs.
  "python -m infusenet_jax.predict": "python -m infusenet_jax.predict --help",
  "python -m infusenet_jax.predict.magnify VIDEO --amp 10 --out magnified.mp4": (
    "python -m infusenet_jax.predict.magnify {out}/long/01_expressions_60fps.mp4"
    " --amp 10 --out {out}/magnified.mp4"
  ),
  # A server does not end; tests of its own open the page.
  "python -m infusenet_jax.predict.serve": (
    "python -m infusenet_jax.predict.serve --help"
  ),
  "python -m data_prep check --root DATABASES": (
    "python -m data_prep check --root {out}/databases"
  ),
  "python -m data_prep build --root DATABASES --out RECORDS": (
    "python -m data_prep build --root {out}/databases --out {out}/records --size 64"
  ),
  "python -m data_prep inspect": "python -m data_prep inspect --data {out}/records",
  "python -m infusenet_jax.main --config=configs/cd6me.py --config.data_dir=RECORDS": (
    "python -m infusenet_jax.main --config=configs/cd6me.py"
    f" --config.data_dir={{out}}/records --workdir={{out}}/cd6me {TINY}"
    " --config.train.epochs=1 --config.folds=samm"
  ),
  "python -m infusenet_jax.evaluate --predictions FILE...": (
    "python -m infusenet_jax.evaluate --predictions {out}/run/predictions.csv"
  ),
  "python -m infusenet_jax.evaluate --run RUN": (
    "python -m infusenet_jax.evaluate --run {out}/run"
  ),
  "python -m infusenet_jax.evaluate.calibration RUN": (
    "python -m infusenet_jax.evaluate.calibration {out}/run"
  ),
  "python -m infusenet_jax.predict.export --run RUN --out model.stablehlo": (
    "python -m infusenet_jax.predict.export --run {out}/run --out {out}/model.stablehlo"
  ),
  "python -m infusenet_jax.artefacts --workdirs RUN...": (
    "python -m infusenet_jax.artefacts --workdirs {out}/run --scale 0.02"
    " --out {out}/artefacts"
  ),
  "python -m infusenet_jax.benchmark --config=...": (
    "python -m infusenet_jax.benchmark --config=baselines:ststnet,quickstart"
    f" --repeats=1 --steps=1 {SMALL}"
  ),
  "bash launch/machine.sh": "DRY_RUN=1 WORKDIR={out}/machine bash launch/machine.sh",
  "bash launch/weights.sh": (
    f"RUNS={{out}}/runs OUT={{out}}/weights bash launch/weights.sh {SMALL}"
    " --config.simulated.dir={out}/shipped"
  ),
  "bash launch/measure.sh --out OUT": (
    "TINY=1 bash launch/measure.sh flow --out {out}/measured"
  ),
  "bash launch/release.sh": "DRY_RUN=1 bash launch/release.sh",
}
# Neither a module nor a script: tests run in the environment that this activates.
NOT_RUN = {"source .venv/bin/activate"}


def commands() -> set[str]:
  """README's commands, without comments: lines of code, and those within sentences."""
  code = re.findall(r"^ {4}((?:bash|python|source|infusenet-jax) .*)", README, re.M)
  inline = re.findall(r"`((?:python -m|bash launch/)[^`]*)`", README)
  found = {re.sub(r"\s+#.*", "", line) for line in code}
  return found | {" ".join(text.split()) for text in inline}


def help_of(words: list[str]) -> str:
  """The help of a module and, where it has some, of its command, as it prints it."""
  for module in (main, benchmark):  # Their flags can be defined but once a process.
    if words[0] == module.PROG.split()[-1]:
      return command_help(module.PROG, module.__doc__, module._FLAGS)
  if words[0] == "infusenet_jax":
    return overview.overview()
  printed = io.StringIO()
  with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
    for name, (module, before, _) in overview.COMMANDS.items():
      if [module.removesuffix(".__main__"), *before] == words[: 1 + len(before)]:
        overview.run([name, "--help"])
    importlib.import_module(words[0]).main(["--help"])
  return printed.getvalue()


def test_what_runs_in_the_place_of_each_command_is_listed():
  assert commands() == COMMANDS.keys() | NOT_RUN


@pytest.mark.parametrize("command", sorted({*COMMANDS, *COMMANDS.values()}))
def test_every_command_exists_with_its_flags(command, monkeypatch):
  monkeypatch.setattr(sys, "argv", sys.argv)
  words = shlex.split(command)
  if "-m" not in words:
    (script,) = [word for word in words if word.startswith("launch/")]
    assert (ROOT / script).is_file()
    return
  words = words[words.index("-m") + 1 :]
  assert importlib.util.find_spec(words[0]) is not None
  flags = [word.partition("=")[0] for word in words if word.startswith("--")]
  own = [flag for flag in flags if not flag.startswith("--config.")]
  said = help_of(words) if own else ""
  assert [flag for flag in own if not re.search(rf"{flag}\b", said)] == []


def test_fields_of_configs_exist():
  fields = config_fields(load_config("cd6me"))
  named = re.findall(r"--config\.([\w.]*\w)", README + " ".join(COMMANDS.values()))
  assert len(named) > 10 and set(named) <= fields.keys()


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
  """An empty folder, and in it an environment that is the one of the tests."""
  folder = tmp_path_factory.mktemp("readme")
  binaries = folder / "venv" / "bin"
  binaries.mkdir(parents=True)
  for name in ("python", "pip"):
    path = binaries / name
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
  for extra in ("base", "dev", "gpu"):  # Installed, so that nothing is fetched.
    (folder / "venv" / f".installed-{extra}").touch()
  return folder


def run(command: str, out: Path) -> subprocess.CompletedProcess:
  """Runs a command as a shell in the repository does."""
  python = f'"{sys.executable}" -m '
  return subprocess.run(
    ["bash", "-c", command.format(out=out).replace("python -m ", python)],
    cwd=ROOT,
    env=os.environ
    | {"VENV": str(out / "venv"), "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.release
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command, out):
  if "{out}/databases" in COMMANDS[command] and not (out / "databases").exists():
    assert run(DATABASES, out).returncode == 0
  done = run(COMMANDS[command], out)
  assert done.returncode == 0, done.stderr[-2000:]
