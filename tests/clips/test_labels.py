"""Keys of databases: the six, those of the user's own, and no third kind."""

import numpy as np
import pytest

from infusenet_jax.clips.labels import (
  CLIPS,
  DATABASES,
  SUBJECTS,
  database_name,
  in_order,
  is_database,
  is_own_database,
)


def test_every_database_has_its_published_counts():
  assert list(CLIPS) == list(SUBJECTS) == list(DATABASES)
  assert sum(CLIPS.values()) == 2031


@pytest.mark.parametrize("key", ["lab", "lab_2", "samm_lv", "casme_squared", "a" * 32])
def test_own_names(key):
  assert is_own_database(key)
  assert is_database(key)
  assert database_name(key) == key


@pytest.mark.parametrize(
  "key",
  [
    *("", "Lab", "2lab", "lab-2", "lab 2", "lab/2", "lab\n", "läb", "a" * 33, "all"),
    *("casme_2", "casmeii", "casme_ii", "casme3", "sam_m", "mmew_"),
  ],
)
def test_what_is_no_name_or_a_spelling_of_one_of_the_six(key):
  assert not is_database(key)


def test_the_six_are_databases_but_not_own_ones():
  for key in DATABASES:
    assert is_database(key)
    assert not is_own_database(key)
    assert database_name(key) == DATABASES[key]


def test_the_six_come_first_in_their_order():
  keys = np.array(["zoo", "mmew", "casme", "lab", "mmew"])
  assert in_order(keys) == ["casme", "mmew", "lab", "zoo"]
  assert all(type(key) is str for key in in_order(keys))
