"""Names that everything agrees on: the 12 AUs and the six databases of CD6ME.

Source: Varanka, Li, Peng and Zhao, "Data Leakage and Evaluation Issues in
Micro-Expression Analysis", IEEE TAFFC 2023 (arXiv 2211.11425).
"""

import re
from collections.abc import Iterable

AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)
# What FACS calls them.
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

# Keys and names, in the order of the folds.
DATABASES = {
  "casme": "CASME",
  "casme2": "CASME II",
  "samm": "SAMM",
  "fourd": "4DME",
  "mmew": "MMEW",
  "casme3a": "CAS(ME)^3",
}

# Published clips and subjects of each database, after the annotation fixes.
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

# Databases of the user's own, beside the six. No spelling of one of the six is one.
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
  """Whether a key can be that of a database beside the six."""
  return bool(_OWN.fullmatch(key)) and key.replace("_", "") not in _TAKEN


def is_database(key: str) -> bool:
  """Whether a key is one of the six or can be that of another database."""
  return key in DATABASES or is_own_database(key)


def database_name(key: str) -> str:
  """A database's name for people; one of the user's own is called as its key."""
  return DATABASES.get(key, key)


def in_order(keys: Iterable[str]) -> list[str]:
  """The databases among `keys`, each once: the six in the order of the folds first."""
  keys = {str(key) for key in keys}
  return [*(key for key in DATABASES if key in keys), *sorted(keys - DATABASES.keys())]
