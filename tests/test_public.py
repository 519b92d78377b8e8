"""`import infusenet_jax`: fast, and with what its help promises."""

import pydoc
import subprocess
import sys

import pytest

import infusenet_jax

NAMES = ("analyse", "load_run", "magnify", "optical_flow", "InfuseNet", "f1")


def test_import_takes_no_time_and_loads_no_jax():
  """In a fresh process; the best of three, since machines are busy."""
  code = (
    "import sys, time; start = time.perf_counter(); import infusenet_jax;"
    "print(time.perf_counter() - start, 'jax' in sys.modules, 'numpy' in sys.modules)"
  )
  ended = [
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    for _ in range(3)
  ]
  results = [one.stdout.split() for one in ended]
  assert all(result[1:] == ["False", "False"] for result in results)
  assert min(float(result[0]) for result in results) < 0.2


def test_help_shows_every_name_with_an_example():
  text = pydoc.plain(pydoc.render_doc(infusenet_jax))
  opening = infusenet_jax.__doc__
  for name in NAMES:
    assert f"infusenet_jax.{name}(" in opening
    assert callable(getattr(infusenet_jax, name))
    assert name in dir(infusenet_jax)
    assert f"{name}(" in text or f"{name} =" in text


def test_other_names_are_not_there():
  with pytest.raises(AttributeError, match="has no attribute 'predictions'"):
    _ = infusenet_jax.predictions
