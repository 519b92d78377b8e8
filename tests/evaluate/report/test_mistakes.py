import numpy as np
import pytest

from infusenet_jax.clips.labels import AUS
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.report.clips import Pictures, Verdict
from infusenet_jax.evaluate.report.mistakes import MOST, mistakes, without
from tests.evaluate.report.test_clips import run, run_of  # noqa: F401


def test_mistakes_begin_with_the_surest(run):  # noqa: F811
  count, (far, missed, alarm) = mistakes(run)
  assert count == 3
  assert (far.clip, far.verdict, far.shown) == ("2", Verdict(1, "missed"), [1])
  assert far.sure == pytest.approx(100 / (1 + np.exp(-3)))
  assert (missed.verdict, missed.shown) == (Verdict(2, "missed"), [1, 2])
  assert alarm.verdict == Verdict(4, "false alarm") and alarm.database == "SAMM"
  assert alarm.sure == pytest.approx(100 / (1 + np.exp(-0.25)))
  assert all(not mistake.face for mistake in (far, missed, alarm))


def test_mistakes_show_the_clips_that_have_pictures(run):  # noqa: F811
  frame = np.zeros((8, 8, 3), np.uint8)
  faces = {("samm", "006", "2"): (frame, frame + 90)}
  _, (far, missed, _) = mistakes(run, Pictures(faces=faces))
  assert far.face.onset != far.face.apex and missed.face is None


def many():
  """60 clips of two databases in which everything is a false alarm."""
  count = 60
  logits = np.linspace(0.1, 5, count * 12).reshape(count, 12)
  return Predictions(
    database=np.repeat(["casme2", "samm"], count // 2),
    subject=np.array(["1"] * count),
    clip=np.array([f"{i:02d}" for i in range(count)]),
    fold=np.repeat(["casme2", "samm"], count // 2),
    seed=np.full(count, 45),
    logits=logits,
    labels=np.zeros((count, 12), np.uint8),
  )


def test_each_view_gets_its_own_surest():
  one = many()
  count, listed = mistakes(one)
  assert count == 60 * 12
  sure = [mistake.sure for mistake in listed]
  assert sure == sorted(sure, reverse=True)
  keys = ("casme2", "samm")
  views = {("all", None, None): MOST["all"]}
  views |= {("au", au, None): MOST["au"] for au in AUS}
  views |= {("database", None, key): MOST["database"] for key in keys}
  views |= {("both", au, key): MOST["both"] for au in AUS for key in keys}
  for (view, au, key), most in views.items():
    mine = np.ones(one.labels.shape, bool)
    if au:
      mine &= np.array(AUS) == au
    if key:
      mine &= (one.database == key)[:, None]
    expected = np.sort(one.logits[mine])[::-1][:most]
    found = [
      mistake.sure
      for mistake in listed
      if view in mistake.among
      and au in (None, mistake.verdict.au)
      and key in (None, mistake.key)
    ]
    np.testing.assert_allclose(found, 100 / (1 + np.exp(-expected)))


def test_choices_without_a_mistake_are_known():
  logits, labels = np.full((2, 12), -1.0), np.zeros((2, 12))
  labels[0, 2] = 1  # AU4 of SAMM is missed.
  _, listed = mistakes(run_of(logits, labels))
  empty = without(listed, ("samm", "casme2"))
  held = {("all", "all"), ("4", "all"), ("all", "samm"), ("4", "samm")}
  assert len(empty) == 13 * 3 - 4 and not held & set(empty)
  assert ("4", "casme2") in empty and ("1", "samm") in empty
  assert ("all", "all") in without([], ("samm",))
