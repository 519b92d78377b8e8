import numpy as np
import pytest

from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.report.clips import (
  MOST_MISTAKES,
  Sample,
  Verdict,
  cards,
  mistakes,
)


def run_of(logits, labels):
  """Clips "0", "1" and so on of one subject of SAMM."""
  count = len(logits)
  return Predictions(
    database=np.array(["samm"] * count),
    subject=np.array(["006"] * count),
    clip=np.array([str(i) for i in range(count)]),
    fold=np.array(["samm"] * count),
    seed=np.full(count, 45),
    logits=logits,
    labels=labels.astype(np.uint8),
  )


@pytest.fixture
def run():
  """AU1 found, AU2 missed, AU4 a false alarm; a clip at rest; AU1 missed by far."""
  logits, labels = np.full((3, 12), -1.0), np.zeros((3, 12))
  labels[0, :2] = labels[2, 0] = 1
  logits[0, :3] = [2.0, -0.5, 0.25]
  logits[2, 0] = -3.0
  return run_of(logits, labels)


def sample(clip, maps=()):
  frame = np.zeros((8, 8, 3), np.uint8)
  flow = np.zeros((8, 8, 3), np.float32)
  flow[0, 0] = (3, 4, 99)  # Five pixels long; strain is not a part of it.
  return Sample("samm", "006", clip, frame, frame + 90, flow, dict(maps))


def test_samples_say_what_was_found_and_missed(run):
  first, second, third = cards(
    [sample("0"), sample("1"), sample("absent")], run, run.logits
  )
  assert (first.database, first.subject, first.clip) == ("SAMM", "006", "0")
  assert first.verdicts == [
    Verdict(1, "found"),
    Verdict(2, "missed"),
    Verdict(4, "false alarm"),
  ]
  assert second.verdicts == [] and third.verdicts is None


def test_samples_show_onset_apex_flow_and_maps_with_their_largest_value(run):
  maps = {"saliency": np.eye(2) / 4, "gate 1": np.full((2, 2), 0.5)}
  (card,) = cards([sample("0", maps)], run, run.logits)
  names = [picture.name for picture in card.pictures]
  assert names[:3] == ["onset", "apex", "flow, up to 5.0 px"]
  assert names[3:] == ["gate 1, up to 0.5", "saliency, up to 0.25"]
  assert len({picture.uri for picture in card.pictures}) == 5


def test_mistakes_begin_with_the_surest(run):
  count, (far, missed, alarm) = mistakes(run, run.logits)
  assert count == 3
  assert (far.clip, far.verdict, far.shown) == ("2", Verdict(1, "missed"), [1])
  assert far.probability == pytest.approx(100 / (1 + np.exp(3)))
  assert (missed.verdict, missed.shown) == (Verdict(2, "missed"), [1, 2])
  assert alarm.verdict == Verdict(4, "false alarm") and alarm.database == "SAMM"
  assert alarm.probability > 50


def test_of_many_mistakes_the_surest_are_listed_and_all_are_counted():
  logits = np.linspace(0.1, 5, 60).reshape(5, 12)
  count, listed = mistakes(run_of(logits, np.zeros((5, 12))), logits)
  assert count == 60 and len(listed) == MOST_MISTAKES
  probabilities = [mistake.probability for mistake in listed]
  assert probabilities == sorted(probabilities, reverse=True)
  assert listed[0].verdict.au == 17
