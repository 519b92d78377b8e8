"""The house: arrows between its rooms point down, and its files fit in one's head."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the top floor down: a module imports from its own room and from rooms below.
ROOMS = (
  "infusenet_jax.__main__",
  "infusenet_jax.main",
  "infusenet_jax.benchmark",
  "infusenet_jax.predict",
  "infusenet_jax.artefacts",
  "infusenet_jax.training",
  "infusenet_jax.training.magnifier",
  "infusenet_jax.training.engine",
  "infusenet_jax.evaluate",
  "infusenet_jax.models",
  "infusenet_jax.clips",
  "infusenet_jax.runtime",
)
# These see only the rooms named.
SEES = {
  "data_prep": ("data_prep", "infusenet_jax.clips", "infusenet_jax.runtime"),
  "configs": ("configs", "infusenet_jax.runtime"),
  "infusenet_jax.evaluate": (
    "infusenet_jax.evaluate",
    "infusenet_jax.clips",
    "infusenet_jax.runtime",
  ),
  "infusenet_jax.models": ("infusenet_jax.models", "infusenet_jax.runtime"),
}
MOST_LINES = 400


def modules() -> dict[str, Path]:
  """Every module by its dotted name."""
  paths = [p for room in ("infusenet_jax", "data_prep", "configs")
           for p in (ROOT / room).rglob("*.py")]  # fmt: skip
  names = (p.relative_to(ROOT).with_suffix("").parts for p in paths)
  return {
    ".".join(name).removesuffix(".__init__"): path
    for name, path in zip(names, paths, strict=True)
  }


def imports(source: str, known: set[str]) -> set[str]:
  """The modules of `known` that a source imports, wherever it does."""
  found = set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, "relative import"
      names = {f"{node.module}.{alias.name}" for alias in node.names}
      found |= names if names & known else {node.module}
      found |= (names & known) | {node.module}
  return found & known


def room_of(module: str, rooms) -> str | None:
  """The innermost of `rooms` that a module lies in."""
  inside = [room for room in rooms if module == room or module.startswith(room + ".")]
  return max(inside, key=len, default=None)


def wrong_arrows(arrows: dict[str, set[str]]) -> list[str]:
  """The imports that point up, or at what a room must not see."""
  wrong = []
  for module, targets in arrows.items():
    here = room_of(module, ROOMS)
    sees = SEES.get(room_of(module, SEES))
    for target in targets - {module}:
      there = room_of(target, ROOMS)
      up = here and there and ROOMS.index(there) < ROOMS.index(here)
      unseen = sees is not None and room_of(target, sees) is None
      if up or (unseen and target != "infusenet_jax"):
        wrong.append(f"{module} -> {target}")
  return wrong


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
  paths = modules()
  known = set(paths)
  return {
    name: imports(path.read_text(encoding="utf-8"), known) - {name}
    for name, path in paths.items()
  }


def test_arrows_point_down(arrows):
  assert not wrong_arrows(arrows)


def test_no_circle_of_imports(arrows):
  faces = {name for name, path in modules().items() if path.name == "__init__.py"}
  graph = {name: targets - faces for name, targets in arrows.items()}
  try:
    TopologicalSorter(graph).prepare()
  except CycleError as error:
    pytest.fail(" -> ".join(error.args[1]))


def test_every_room_is_on_the_plan(arrows):
  homeless = [
    name
    for name in arrows
    if room_of(name, (*ROOMS, *SEES)) is None and name != "infusenet_jax"
  ]
  assert not homeless


def test_files_fit_in_ones_head():
  long = {
    str(path.relative_to(ROOT)): count
    for path in [*modules().values(), *(ROOT / "tests").rglob("*.py")]
    if (count := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
  }
  assert not long


def test_a_wrong_arrow_is_noticed():
  assert wrong_arrows({"infusenet_jax.runtime.files": {"infusenet_jax.clips.labels"}})
  assert wrong_arrows(
    {"infusenet_jax.evaluate.scores": {"infusenet_jax.models.resnet"}}
  )
  assert wrong_arrows({"data_prep.build": {"infusenet_jax.evaluate.protocol"}})
  assert wrong_arrows(
    {"infusenet_jax.training.engine.steps": {"infusenet_jax.training"}}
  )
  assert not wrong_arrows({"infusenet_jax.main": {"infusenet_jax.training.run"}})
