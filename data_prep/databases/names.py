"""Recognises databases by the names of folders."""

import re

from data_prep.databases.layouts import LAYOUTS
from data_prep.databases.listing import plain

# Words that licensees add to a database's name.
_ADDED = r"(dataset|database|data|release|final|micro|v\d{1,2})*"
# Other databases with similar names: pattern of the name in lower case -> right name.
_NONE_OF_THE_SIX = {
  r"cas\(me\)[\W_]*2|casme\W*\^\W*2|cas\W*me\W*²": "CAS(ME)^2",
  r"samm[\W_]*(lv(\b|_)|long)": "SAMM Long Videos",
}


def identify(name: str) -> str | None:
  """Returns the key of the database that a folder's name stands for, or None."""
  if other_database(name):
    return None
  for key, layout in LAYOUTS.items():
    names = "|".join(plain(folder) for folder in layout.folders)
    if re.fullmatch(f"({names}){_ADDED}", plain(name.replace("³", "3"))):
      return key
  return None


def is_foreign(name: str, key: str | None) -> bool:
  """Whether a folder's name stands for another database than `key`."""
  return other_database(name) is not None or identify(name) not in (None, key)


def other_database(name: str) -> str | None:
  """Returns the name of another database than the six that a folder is named after."""
  for pattern, other in _NONE_OF_THE_SIX.items():
    if re.search(pattern, name.lower()):
      return other
  return None
