"""Records without the head's own motion: what is in them, and that they say so."""

import json

import numpy as np
import pytest

from infusenet_jax.clips.flow.strain import optical_strain
from infusenet_jax.clips.prepared import read_metadata
from infusenet_jax.training.run import load_records
from tests.conftest import make_tiny_config
from tests.data_prep.builds import SIZE, build, files, records
from tests.data_prep.trees import write_casme2

FOLDER = "casme2/1.0.0"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """Two clips whose frames are moved by 1.5 px as a whole, built in both ways."""
  folder = tmp_path_factory.mktemp("heads")
  write_casme2(folder / "root")
  for head in ("kept", "removed"):
    (outcome,) = build(folder / "root", folder / head, size=SIZE, head=head)
    assert (outcome.clips, outcome.problems, outcome.failure) == (2, [], "")
  return folder


def test_a_frame_that_moved_as_a_whole_stands_still(built):
  pairs = [records(built / head, "casme2") for head in ("kept", "removed")]
  for kept, removed in zip(*pairs, strict=True):
    differ = [name for name in kept if not np.array_equal(kept[name], removed[name])]
    assert differ == ["apex", "flow", "window_apex"]
    inner = slice(8, -8), slice(8, -8)
    before, after = (x["flow"][inner].astype(np.float32) for x in (kept, removed))
    assert np.linalg.norm(before[..., :2], axis=-1).mean() > 1
    assert np.linalg.norm(after[..., :2], axis=-1).mean() < 0.15
    for name in ("apex", "window_apex"):
      before, after = (
        np.abs(x[name][inner].astype(int) - x["onset"][inner]).mean()
        for x in (kept, removed)
      )
      assert after < 0.5 * before
    flow = removed["flow"].astype(np.float32)
    strain = np.asarray(optical_strain(flow[None, ..., :2]))[0]
    np.testing.assert_allclose(flow[..., 2], strain, atol=5e-3)


def test_records_say_that_it_is_gone_and_nothing_where_it_is_kept(built):
  kept, removed = (
    json.loads((built / head / FOLDER / "metadata.json").read_text())
    for head in ("kept", "removed")
  )
  assert removed["head"] == "removed" and removed.keys() - kept.keys() == {"head"}
  assert kept.keys() < removed.keys()
  assert "the head's own motion was removed from flow and apexes" in removed["notes"]
  assert not any("head" in note for note in kept["notes"])
  assert read_metadata(built / "kept" / FOLDER)["head"] == "kept"
  same = ("fingerprint", "clips", "size", "flow", "strain", "recipe")
  assert [kept[name] for name in same] == [removed[name] for name in same]
  shapes = [
    (built / head / FOLDER / "features.json").read_text()
    for head in ("kept", "removed")
  ]
  assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("there", "now"), [("kept", "removed"), ("removed", "kept")])
def test_neither_kind_is_taken_for_the_other(built, there, now):
  before = files(built / there)
  (outcome,) = build(built / "root", built / there, size=SIZE, head=now)
  assert f'head ("{there}" there, "{now}" now)' in outcome.failure
  assert files(built / there) == before
  (outcome,) = build(built / "root", built / there, size=SIZE, head=there)
  assert outcome.reused


def test_the_command_and_the_sheet_say_so(built, command):
  status, _, lines = command(
    *("build", "--root", built / "root", "--out", built / "removed", "--faces=none"),
    *("--size", SIZE, "--head", "removed"),
  )
  assert status == 1 and any("own motion was removed" in line for line in lines)
  status, printed, _ = command("inspect", "--data", built / "removed")
  assert status == 0 and "head's motion removed" in printed
  status, printed, _ = command("inspect", "--data", built / "kept")
  assert status == 0 and "removed" not in printed


def test_a_licensees_flow_cannot_lose_it(command, tmp_path):
  write_casme2(tmp_path / "root")
  status, _, lines = command(
    *("build", "--root", tmp_path / "root", "--out", tmp_path / "out"),
    *("--head", "removed", "--flow-arrays", tmp_path),
  )
  assert status == 2
  assert "--head removed: the flow of --flow-arrays holds the head's motion" in lines[0]


def test_training_says_so(built, caplog):
  caplog.set_level("INFO")
  config = make_tiny_config()
  for head, said in (("removed", True), ("kept", False)):
    caplog.clear()
    config.data_dir = str(built / head)
    load_records(config)
    assert ("was removed from records of casme2" in caplog.text) == said
