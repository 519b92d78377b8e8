"""Names that everything agrees on: the 12 AUs and the six databases of CD6ME.

Source: Varanka, Li, Peng and Zhao, "Data Leakage and Evaluation Issues in
Micro-Expression Analysis", IEEE TAFFC 2023 (arXiv 2211.11425).
"""

AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)

# Keys and names, in the order of the folds.
DATABASES = {
  "casme": "CASME",
  "casme2": "CASME II",
  "samm": "SAMM",
  "fourd": "4DME",
  "mmew": "MMEW",
  "casme3a": "CAS(ME)^3",
}


def database_name(key: str) -> str:
  """The name of a database; one that is none of the six is called by its key."""
  return DATABASES.get(key, key)


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
