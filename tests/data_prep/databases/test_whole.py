"""All 2,031 clips with the published subjects and labels, in every layout."""

import os
import shutil

import pytest

from data_prep.databases.layouts import LAYOUTS
from data_prep.simulator.plan.counts import statistics
from data_prep.simulator.plan.population import PlannedClip, plan_database
from data_prep.simulator.workbooks import workbook_bytes
from data_prep.sources import open_root
from infusenet_jax.clips.labels import AUS, CLIPS, SUBJECTS
from tests.data_prep.builds import build
from tests.data_prep.databases.layout_trees import TREES, Tree
from tests.data_prep.trees import write_frame

POOL = 8  # Different frames, to which those of all clips are links.


def plant_whole(root, tree: Tree, pool) -> list[PlannedClip]:
  """Writes a whole database in one layout, 64 px frames as hard links; its clips."""
  layout, place = LAYOUTS[tree.key], root / tree.folder
  clips = plan_database(tree.key, 1.0, 0, "statistics")
  book = place / tree.book / layout.workbooks[0]
  book.parent.mkdir(parents=True, exist_ok=True)
  book.write_bytes(workbook_bytes(clips, layout))
  (release,) = (r for r in layout.releases if r.name == tree.release)
  for clip in clips:
    below = release.clip_folders(
      clip.number, clip.filename, clip.name, clip.onset, clip.emotion
    )[0]
    folder = place / tree.frames / below
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(clip.onset, clip.offset + 1):
      name = release.frame_name(clip.number, clip.filename, n)
      os.link(pool[n % POOL], folder / name)
  return clips


@pytest.fixture
def pool(tmp_path):
  yield [write_frame(tmp_path / "pool" / f"{n}.jpg", n / 4) for n in range(POOL)]
  shutil.rmtree(tmp_path)  # Some 80,000 links.


@pytest.mark.release
@pytest.mark.parametrize("tree", TREES, ids=str)
def test_every_clip_comes_in(tmp_path, pool, tree):
  plant_whole(tmp_path / "root", tree, pool)
  (source,) = open_root(tmp_path / "root").sources
  database = source.database
  assert (len(database.clips), database.subjects) == (
    *(CLIPS[tree.key], SUBJECTS[tree.key]),
  )
  assert database.problems == []
  assert database.missing_frames == 0
  found = [keys.clip for keys in database.clips]
  assert database.compare_counts(found, []) == []
  positives = {
    f"AU{au}": sum(clip.labels[i] for clip in found) for i, au in enumerate(AUS)
  }
  assert positives == statistics()[tree.key]["positives"]


@pytest.mark.slow
def test_all_six_are_built(tmp_path, pool):
  first = {tree.key: tree for tree in reversed(TREES)}
  for tree in first.values():
    plant_whole(tmp_path / "root", tree, pool)
  outcomes = build(tmp_path / "root", tmp_path / "out", size=32)
  assert {outcome.key: outcome.clips for outcome in outcomes} == CLIPS
  assert {outcome.key: outcome.subjects for outcome in outcomes} == SUBJECTS
  for outcome in outcomes:
    assert outcome.problems == outcome.counts == []
