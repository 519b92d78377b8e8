"""Databases of the user's own beside the six: left out in folds, scored and named."""

import numpy as np
import pytest

from infusenet_jax.evaluate.__main__ import main
from infusenet_jax.evaluate.predictions import (
  Predictions,
  read_predictions,
  write_predictions,
)
from infusenet_jax.evaluate.protocol import folds
from infusenet_jax.evaluate.scores import cd6me_tables

KEYS = np.repeat(["zoo", "samm", "lab_a", "casme"], 6)


@pytest.fixture
def predictions() -> Predictions:
  rng = np.random.default_rng(0)
  labels = (rng.random((len(KEYS), 12)) < 0.4).astype(np.uint8)
  return Predictions(
    database=KEYS,
    subject=np.array([f"{i % 3}" for i in range(len(KEYS))]),
    clip=np.array([f"clip{i}" for i in range(len(KEYS))]),
    fold=KEYS,
    seed=np.full(len(KEYS), 45),
    logits=rng.normal(size=labels.shape) + labels,
    labels=labels,
  )


def test_each_is_left_out_after_the_six():
  found = folds("cd6me", KEYS, np.full(len(KEYS), "1"))
  assert [fold.name for fold in found] == ["casme", "samm", "lab_a", "zoo"]
  for fold in found:
    assert set(KEYS[fold.test]) == {fold.name}
    assert set(KEYS[fold.train]) == set(KEYS) - {fold.name}
  (fold,) = folds("cd6me", KEYS, KEYS, ["lab_a"])
  assert fold.test.sum() == 6


def test_they_are_scored_like_the_six(predictions, tmp_path):
  write_predictions(tmp_path / "p.csv", predictions)
  read = read_predictions([tmp_path / "p.csv"])
  tables = cd6me_tables(read, resamples=5)
  assert tables.databases == ("casme", "samm", "lab_a", "zoo")
  assert tables.clips == (6, 6, 6, 6)


def test_they_are_named_and_nothing_looks_comparable(predictions, tmp_path, capsys):
  write_predictions(tmp_path / "p.csv", predictions)
  main(["--predictions", str(tmp_path / "p.csv"), "--out", str(tmp_path / "out")])
  said = capsys.readouterr().out
  for name in ("CASME", "SAMM", "lab_a", "zoo"):
    assert f"\n{name}  " in said
  assert "2 of the 6 databases and 2 other: not comparable with CD6ME" in said
  assert "lab_a" in (tmp_path / "out/report.html").read_text()
