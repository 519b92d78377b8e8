"""Faces and coders that disagree, and action units of unequal strength."""

import json

import numpy as np
import pytest

from data_prep.databases.annotations.clips import read_annotations
from data_prep.databases.layouts import LAYOUTS
from data_prep.simulator.camera.film import Film
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.plan.counts import statistics
from data_prep.simulator.plan.difficulty import PLAIN, Difficulty
from data_prep.simulator.plan.population import (
  DATABASES,
  at_rest,
  plan_database,
  positives,
)
from data_prep.simulator.workbooks import workbook_bytes
from data_prep.simulator.writer import Parameters, simulate
from infusenet_jax.clips.labels import AUS
from infusenet_jax.runtime.errors import UserError

ERRING = Difficulty(
  doubtful=((4, 0.2), (12, 0.5)), missed=((4, 0.1), (6, 2.0)), coders=(("samm", 0.0),)
)


def _plan(database: str, difficulty: Difficulty, scale: float = 1.0):
  return plan_database(database, scale, 3, "statistics", difficulty=difficulty)


@pytest.mark.parametrize("database", DATABASES)
def test_coders_write_down_the_published_counts_whatever_is_shown(database):
  known, clips = statistics()[database]["positives"], _plan(database, ERRING)
  assert positives(clips) == {au: known[f"AU{au}"] for au in AUS}
  erring = 0.0 if database == "samm" else 1.0
  for au, doubtful, missed in ((4, 0.2, 0.1), (12, 0.5, 0), (6, 0, 2), (1, 0, 0)):
    coded = known[f"AU{au}"]
    wrong = sum(au in c.labels and au not in c.true for c in clips)
    more = sum(au in c.true and au not in c.labels for c in clips)
    assert abs(wrong - erring * doubtful * coded) <= 1
    assert abs(more - erring * missed * coded) <= 1


def test_faces_show_what_is_true_and_workbooks_what_coders_saw(tmp_path):
  for database in DATABASES:
    clips = _plan(database, ERRING, 0.15)
    for clip in clips:
      others = set(clip.unsure) | ({s.au for s in clip.shown} - set(AUS))
      assert {s.au for s in clip.shown} == set(clip.true) | others
    path = tmp_path / LAYOUTS[database].workbooks[0]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(workbook_bytes(clips, LAYOUTS[database]))
    read = read_annotations(path, LAYOUTS[database], fix=False)
    assert read.problems == []
    assert [c.labels for c in read.clips] == [
      tuple(int(au in c.labels) for au in AUS) for c in clips
    ]


def test_without_difficulty_a_plan_is_what_it_was():
  for database in ("casme2", "fourd"):
    plain, also = _plan(database, PLAIN), plan_database(database, 1.0, 3, "statistics")
    assert plain == also
    assert all(clip.true == clip.labels for clip in plain)
    # People, clips and what coders wrote stay as they are when coders err.
    erring = _plan(database, ERRING)
    for name in ("subject", "name", "labels", "apex", "offset", "emotion"):
      assert [getattr(c, name) for c in plain] == [getattr(c, name) for c in erring]
    same = sum(a == b for a, b in zip(plain, erring, strict=True))
    assert 0.4 * len(plain) < same < len(plain)


def test_strength_scales_motion_and_relief_of_its_au_alone():
  weak = Difficulty(strength=((4, 0.25),))
  pairs = zip(_plan("casme2", PLAIN), _plan("casme2", weak), strict=True)
  studio = Studio("casme2", 1, seed=0)
  seen = set()
  for plain, weaker in pairs:
    for a, b in zip(plain.shown, weaker.shown, strict=True):
      factor = 0.25 if a.au == 4 else 1
      assert (b.left, b.right) == (factor * a.left, factor * a.right)
    if plain.true == (4,) and len(plain.shown) == 1 and not seen:
      seen.add(4)
      films = [Film(clip, studio, 0.0) for clip in (plain, weaker)]
      for field in ("field", "light"):
        strong, small = (np.abs(getattr(film, field)).max() for film in films)
        assert small == pytest.approx(0.25 * strong, rel=0.05)
  assert seen


def test_databases_differ_alike_for_every_seed():
  unlike = Difficulty(unlike=0.3)
  strengths = np.array([list(unlike.strengths(key).values()) for key in DATABASES])
  assert 0.15 < np.log(strengths).std(0).mean() < 0.45
  assert set(PLAIN.strengths("casme").values()) == {1.0}


def test_truth_keeps_the_true_aus(tmp_path):
  parameters = Parameters(
    scale=0.001, frames="key", databases=("casme3a",), difficulty=ERRING
  )
  clips = simulate(tmp_path, parameters, workers=1)["casme3a"]
  assert any(clip.true != clip.labels for clip in clips)
  for clip in clips:
    with np.load(tmp_path / "truth/casme3a" / f"{clip.truth_name}.npz") as truth:
      assert truth["true"].tolist() == [au in clip.true for au in AUS]
  mark = json.loads((tmp_path / "SIMULATED.json").read_text())
  assert mark["difficulty"]["doubtful"] == [[4, 0.2], [12, 0.5]]
  simulate(tmp_path, parameters)
  with pytest.raises(UserError, match=r"with other parameters \(difficulty"):
    simulate(tmp_path, Parameters(scale=0.001, frames="key", databases=("casme3a",)))


def test_faces_at_rest_show_nothing_whatever_coders_say():
  clips = [at_rest(clip) for clip in _plan("mmew", ERRING)]
  assert not any(clip.true or clip.shown or clip.labels for clip in clips)


@pytest.mark.parametrize(
  "flag, words",
  [
    ("--strength=3:0.5", "3:0.5 is no pair of one of 1, 2, 4,"),
    ("--doubtful=4:1.5", "a number from 0 to 1, such as 1:0.5"),
    ("--missed=4:x", "4:x is no pair"),
    ("--missed=4:1,4:2", "each once"),
    ("--coders=4:1", "4:1 is no pair of one of casme, casme2"),
    ("--unlike=2", "--unlike=2: give a number from 0 to 1"),
  ],
)
def test_wrong_difficulties_are_one_line(command, flag, words, tmp_path):
  status, _, (line,) = command("simulate", "--out", tmp_path / "out", flag)
  assert status == 2 and words in line
  assert not (tmp_path / "out").exists()
