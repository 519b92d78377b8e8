"""The 12 action units (AUs) and the six databases of CD6ME: numbers, keys and names.

Source: Varanka, Li, Peng and Zhao, "Data Leakage and Evaluation Issues in
Micro-Expression Analysis", IEEE TAFFC 2023 (arXiv 2211.11425).
"""

import re
from collections.abc import Iterable

# Their numbers in FACS, the Facial Action Coding System, in the order of all arrays.
AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)
# Their names in FACS.
AU_NAMES = {
  1: "inner brow raiser",
  2: "outer brow raiser",
  4: "brow lowerer",
  5: "upper lid raiser",
  6: "cheek raiser",
  7: "lid tightener",
  9: "nose wrinkler",
  10: "upper lip raiser",
  12: "lip corner puller",
  14: "dimpler",
  15: "lip corner depressor",
  17: "chin raiser",
}

# {key in files and flags: name for people}, in the order of the folds.
DATABASES = {
  "casme": "CASME",
  "casme2": "CASME II",
  "samm": "SAMM",
  "fourd": "4DME",
  "mmew": "MMEW",
  "casme3a": "CAS(ME)^3",
}

# How many clips and subjects each database has as published, after the corrections of
# known annotation errors.
CLIPS = {
  "casme": 189,
  "casme2": 256,
  "samm": 159,
  "fourd": 267,
  "mmew": 300,
  "casme3a": 860,
}
SUBJECTS = {
  "casme": 19,
  "casme2": 26,
  "samm": 29,
  "fourd": 42,
  "mmew": 30,
  "casme3a": 94,
}

# What databases of the user's own, beside the six, may be called. The spellings of the
# six are taken, so that none is read as another database.
_OWN = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TAKEN = {"all"} | {
  re.sub(r"[^a-z0-9]", "", name.lower())
  for name in (*DATABASES, *DATABASES.values(), "casme1", "casme3", "casmeiii")
}
NAME_RULE = (
  "a name of up to 32 of a-z, 0-9 and _, with a letter first, that is none of the six"
  " databases'"
)


def is_own_database(key: str) -> bool:
  """Whether a key can name a database of the user's own, as `NAME_RULE` says."""
  return bool(_OWN.fullmatch(key)) and key.replace("_", "") not in _TAKEN


def is_database(key: str) -> bool:
  """Whether a key is one of the six databases' or can name one of the user's own."""
  return key in DATABASES or is_own_database(key)


def database_name(key: str) -> str:
  """Returns a database's name for people: of the six as published, else the key."""
  return DATABASES.get(key, key)


def in_order(keys: Iterable[str]) -> list[str]:
  """Sorts the keys of databases, each once: the six by fold, then others by name."""
  keys = {str(key) for key in keys}
  return [*(key for key in DATABASES if key in keys), *sorted(keys - DATABASES.keys())]
