"""Known faults of the licensed workbooks, keyed on (subject, clip name), as data.

Row numbers differ between revisions, so no fix names one. A fix changes a cell only
where the workbook says something else; simulated workbooks have none of these faults.
"""

# database -> (subject, clip name) -> field -> right value.
FIXES: dict[str, dict[tuple[str, str], dict[str, int | str]]] = {
  "casme": {
    ("03", "EP07_1"): {"onset": 100, "apex": 120, "offset": 149},
    ("03", "EP09_3"): {"onset": 101, "apex": 110, "offset": 119},
    ("03", "EP09_4"): {"onset": 57, "apex": 65, "offset": 74},
    ("06", "EP02_7"): {"offset": 40},
    ("13", "EP13_5"): {"offset": 142},
  },
  "casme2": {
    ("04", "EP12_01f"): {"apex": 279},
    ("05", "EP03_01"): {"apex": 68},
    ("05", "EP07_01"): {"apex": 77},
    ("05", "EP09_05f"): {"apex": 81},
    ("05", "EP16_04f"): {"apex": 166},
    ("06", "EP01_01"): {"apex": 100},
    ("07", "EP06_01"): {"apex": 78, "offset": 91},
    ("12", "EP09_02"): {"apex": 187},
    ("12", "EP09_06"): {"apex": 89},
    ("13", "EP09_10"): {"apex": 80},
    ("16", "EP01_08"): {"apex": 88},
    ("17", "EP03_09"): {"apex": 134},
    ("17", "EP06_07"): {"apex": 231},
    ("17", "EP13_09"): {"apex": 53},
    ("17", "EP15_03"): {"apex": 329},
    ("18", "EP19_01"): {"apex": 111},
    ("20", "EP16_01"): {"apex": 91},
    ("20", "EP16_04"): {"apex": 103},
    ("25", "EP09_02"): {"apex": 98},
    ("25", "EP12_01"): {"apex": 153},
    ("25", "EP18_04f"): {"apex": 98},
  },
  "samm": {
    ("013", "013_1_9"): {"offset": 5739},
    ("028", "028_4_1"): {"apex": 1105},
    ("032", "032_3_1"): {"apex": 4945},
    ("032", "032_3_2"): {"apex": 5130},
    ("007", "007_6_1"): {"aus": "R12 + R15"},
    ("007", "007_6_5"): {"aus": "R12 + R15"},
    ("011", "011_4_2"): {"aus": "L14"},
    ("014", "014_5_2"): {"aus": "R14"},
    ("035", "035_7_2"): {"aus": "R14A"},
  },
  "mmew": {
    ("S04", "S04-01-001"): {"apex": 40, "offset": 75},
    ("S04", "S04-02-002"): {"apex": 15, "offset": 54},
    ("S04", "S04-02-003"): {"apex": 46, "offset": 59},
    ("S04", "S04-03-001"): {"apex": 20, "offset": 98},
    ("S04", "S04-03-002"): {"apex": 25, "offset": 80},
    ("S04", "S04-03-003"): {"apex": 20, "offset": 93},
    ("S04", "S04-04-001"): {"apex": 23, "offset": 58},
    ("S04", "S04-04-002"): {"apex": 28, "offset": 61},
    ("S04", "S04-06-001"): {"apex": 32, "offset": 68},
    ("S13", "S13-01-001"): {"apex": 56, "offset": 88},
    ("S13", "S13-01-002"): {"apex": 32, "offset": 80},
    ("S13", "S13-02-001"): {"apex": 27, "offset": 85},
    ("S13", "S13-02-002"): {"apex": 22, "offset": 61},
    ("S13", "S13-02-004"): {"apex": 29, "offset": 108},
    ("S13", "S13-03-006"): {"apex": 31, "offset": 72},
    ("S13", "S13-04-001"): {"apex": 38, "offset": 106},
  },
  "casme3a": {
    ("spNO.149", "d"): {"apex": 123},
    ("spNO.216", "d"): {"onset": 2647},
    ("spNO.216", "e"): {"onset": 1, "apex": 1},
    ("spNO.214", "c"): {"offset": 34},
    ("spNO.40", "e3"): {"offset": 1845},
    ("spNO.40", "e5"): {"offset": 2403},
  },
}

# database -> pairs of clips whose labels stand in each other's rows.
SWAPPED_LABELS = {
  "fourd": ((("S49", "S49_001_01_1"), ("S49", "S49_001_01_2")),),
}
