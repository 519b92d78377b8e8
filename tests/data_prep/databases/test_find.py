"""Which folder of a root is which database, and what is said of the others."""

import json

import pytest

from data_prep.databases.find import find_databases, simulated_source
from data_prep.databases.names import identify
from infusenet_jax.runtime.errors import UserError
from tests.data_prep.trees import CASME2_HEADER, write_workbook

NAMES = {
  "casme": ("CASME", "casme-i", "CASME dataset", "CASME I", "CASME1", "CASME_v2"),
  "casme2": (
    "CASME2",
    "CASME II",
    "casme_ii",
    "CASMEII",
    "CASME 2",
    "CASME-II_release",
  ),
  "samm": ("SAMM", "SAMM_v2", "samm", "SAMM database"),
  "fourd": ("4DME", "4DME_micro", "4dmicro", "4DME_dataset"),
  "mmew": ("MMEW", "MMEW_Final", "mmew"),
  "casme3a": (
    *("CAS(ME)3", "CASME3", "CAS(ME)^3", "CASME3_Part_A", "CAS(ME)^3 part A"),
    *("CAS(ME)³", "CASME III"),
  ),
  None: (
    *("CASME^2", "CAS(ME)^2", "CAS(ME)2", "cas(me)_2", "CAS(ME)²", "SAMM_LV"),
    *("SAMM Long Videos", "SAMM_CROP", "SMIC", "CASME2_RAW_selected", "casme4"),
  ),
}


@pytest.mark.parametrize(
  ("key", "name"), [(key, name) for key, names in NAMES.items() for name in names]
)
def test_a_folders_name_stands_for_one_database_or_none(key, name):
  assert identify(name) == key


def folders(root, *names):
  for name in names:
    (root / name).mkdir(parents=True)
  return root


def test_folders_that_are_not_read_are_named(tmp_path):
  root = folders(tmp_path, "SAMM", "SAMM_CROP", "SAMM_LV", "CAS(ME)^2", "other", ".git")
  folders(root, "CASME2_old", "micro")
  rows = [CASME2_HEADER, [1, "EP01", 1, 2, 3, "4", "x"]]
  write_workbook(root / "micro/CASME2-coding-20140508.xlsx", rows)
  found = find_databases(root, None)
  assert found.folders == {"samm": root / "SAMM"}
  assert found.notes == [
    f"{root}/CAS(ME)^2: CAS(ME)^2 is none of the six databases; left alone",
    f"{root}/CASME2_old: looks like a database, but is not read; if it is one, name the"
    " folder 'CASME' or 'CASME II' or 'CAS(ME)^3 part A'",
    f"{root}/SAMM_LV: SAMM Long Videos is none of the six databases; left alone",
    f"{root}/micro: holds CASME II's workbook, but is not read; if it is one, name the"
    " folder 'CASME II'",
  ]


def test_nothing_is_found_and_why(tmp_path):
  root = folders(tmp_path / "SAMM_v2", "006", "007", "CAS(ME)^2").resolve()
  with pytest.raises(UserError) as caught:
    find_databases(root, None)
  line = str(caught.value)
  assert "no folder named 'CASME' or 'CASME II'" in line
  assert "it holds 006, 007, CAS(ME)^2" in line
  assert "if it is SAMM itself, give the folder that holds it" in line
  assert "CAS(ME)^2 is none of the six" in line
  with pytest.raises(UserError, match="no folder named 'MMEW'; it holds"):
    find_databases(folders(tmp_path / "b", "SAMM"), ["mmew"])


def test_of_two_folders_of_one_database_that_with_a_workbook_is_taken(tmp_path):
  root = folders(tmp_path, "CASME II", "CASME2")
  assert find_databases(root, None).folders["casme2"].name == "CASME II"
  write_workbook(root / "CASME2/annotation/any.xlsx", [["x"]])
  found = find_databases(root, None)
  assert found.folders["casme2"].name == "CASME2"
  assert found.notes == [
    f"{root}/CASME II: is CASME II too, by its name, and is left alone; CASME2 is taken"
  ]


def test_two_databases_never_are_one_folder(tmp_path):
  folders(tmp_path, "CASME")
  (tmp_path / "CASME2").symlink_to(tmp_path / "CASME")
  with pytest.raises(UserError, match=r"CASME2: is the same folder as .*/CASME, but"):
    find_databases(tmp_path, None)


def test_simulated_databases_stay_simulated_wherever_they_go(tmp_path):
  simulated = folders(tmp_path / "simulated", "SAMM", "MMEW")
  mark = json.dumps({"seed": 3})
  (simulated / "SIMULATED.json").write_text(mark)
  assert simulated_source(simulated / "SAMM") == {"seed": 3}
  root = folders(tmp_path / "licensed", "CASME")
  (root / "SAMM").symlink_to(simulated / "SAMM")
  assert simulated_source(root / "SAMM") == {"seed": 3}
  assert simulated_source(root / "CASME") == {}
  (simulated / "MMEW/SIMULATED.json").write_text(mark)  # As `simulate` leaves it.
  (simulated / "MMEW").rename(root / "MMEW")
  assert simulated_source(root / "MMEW") == {"seed": 3}
