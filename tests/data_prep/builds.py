"""Building miniature databases in one process, and looking at what was written."""

import tensorflow_datasets as tfds

from data_prep import build as build_module
from data_prep.build import Options
from data_prep.outcomes import Outcome
from data_prep.sources import open_root

SIZE = 64  # One size for all tests: the flow is compiled once.


def build(root, out, databases=None, **options) -> list[Outcome]:
  """Builds what is found in `root`; by default without looking for faces."""
  sources = open_root(root, databases).sources
  return build_module.build(sources, out, Options(**{"faces": "none"} | options))


def records(out, key):
  builder = tfds.builder_from_directory(str(out / key / "1.0.0"))
  return list(builder.as_data_source(split="all"))


def files(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }
