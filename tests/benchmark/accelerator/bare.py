"""Runs a module where nothing but a few packages and what they bring can be imported.

python -m tests.benchmark.accelerator.bare MODULE ARGUMENTS...
"""

import importlib.metadata
import re
import runpy
import sys

# What a machine for measuring has, and the packages that those need.
ROOTS = (
  *("jax", "flax", "optax", "orbax-checkpoint", "absl-py", "torch", "filelock"),
  *("opencv-python-headless",),
)
OURS = ("infusenet_jax", "configs", "tests")


def allowed() -> set[str]:
  """Names of distributions: ROOTS and all that they require without extras."""
  found, left = set(), list(ROOTS)
  while left:
    name = re.split(r"[^\w.-]", left.pop())[0].lower().replace("_", "-")
    try:
      needs = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
      continue
    if name not in found:
      found.add(name)
      left += [need for need in needs if "extra ==" not in need]
  return found


class Bare:
  """Finds what another finder does, but for distributions that are not allowed."""

  def __init__(self, finder):
    self.finder, self.kept = finder, allowed()
    self.owners = importlib.metadata.packages_distributions()

  def __getattr__(self, name: str):
    return getattr(self.finder, name)

  def find_spec(self, name: str, path=None, target=None):
    """The module's spec; None, as where it is not installed, for all others."""
    owners = {o.lower().replace("_", "-") for o in self.owners.get(name, ())}
    if owners and not owners & self.kept and name not in OURS:
      return None
    return self.finder.find_spec(name, path, target)


if __name__ == "__main__":
  sys.meta_path[:] = [Bare(finder) for finder in sys.meta_path]
  sys.argv = sys.argv[1:]
  runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
