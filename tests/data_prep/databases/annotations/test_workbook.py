"""Which workbook is taken, why, and how to ask for another."""

import pytest

from data_prep.databases.annotations.workbook import choose_workbook, parse_workbooks
from data_prep.databases.layouts import LAYOUTS
from infusenet_jax.runtime.errors import UserError

UPDATED, OLD = "CASME2-coding-updated.xlsx", "CASME2-coding-20140508.xlsx"


def put(folder, *names):
  for name in names:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(name.encode())
  return folder


def choose(folder, key="casme2", given=None):
  choice = choose_workbook(folder, LAYOUTS[key], given)
  return choice.path.relative_to(folder).as_posix(), choice.notes


@pytest.mark.parametrize(
  "name",
  [
    UPDATED,
    "casme2-CODING-updated.XLSX",
    f"annotation/{UPDATED}",
    f"a/b/{UPDATED}",
    "CASME2 coding (20190701).xlsx",
  ],
)
def test_known_names_in_any_spelling_and_place(tmp_path, name):
  assert choose(put(tmp_path, name, f"~${UPDATED}", f"._{UPDATED}")) == (name, [])


def test_of_several_the_first_known_is_taken_and_it_is_said(tmp_path):
  put(tmp_path, UPDATED, f"old/{OLD}", "notes.xlsx")
  name, notes = choose(tmp_path)
  assert name == UPDATED
  assert notes == [
    f"{UPDATED} is taken, the first of the known names, not notes.xlsx, old/{OLD};"
    " --workbook casme2=FILE takes another"
  ]
  assert choose(tmp_path, given=tmp_path / "notes.xlsx")[0] == "notes.xlsx"


def test_the_only_workbook_is_taken_whatever_its_name(tmp_path):
  name, notes = choose(put(tmp_path, "my labels.xlsx"))
  assert (name, notes) == (
    "my labels.xlsx",
    ["my labels.xlsx is the only workbook there, so it is taken"],
  )


def test_unknown_workbooks_must_be_chosen_between(tmp_path):
  put(tmp_path, "a.xlsx", "b.xlsx")
  with pytest.raises(UserError, match=r"a\.xlsx, b\.xlsx; say which with --work"):
    choose(tmp_path)


def test_one_name_twice(tmp_path):
  put(tmp_path, UPDATED)
  (tmp_path / "copy").mkdir()
  twin = tmp_path / "copy" / UPDATED
  twin.write_bytes((tmp_path / UPDATED).read_bytes())
  assert choose(tmp_path)[0] == UPDATED
  twin.write_bytes(b"other")
  with pytest.raises(UserError, match=r"have one name and differ; say which with"):
    choose(tmp_path)


def test_macro_expressions_are_never_taken(tmp_path):
  put(tmp_path, "annotation/cas(me)3_part_A_MaE_label_JpgIndex_v2.xlsx")
  with pytest.raises(UserError, match=r"found annotation/.*MaE.* of macro-expressions"):
    choose(tmp_path, "casme3a")
  put(tmp_path, "annotation/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx")
  name, notes = choose(tmp_path, "casme3a")
  assert name.endswith("_ME_label_JpgIndex_v2.xlsx")
  assert notes == [
    "annotation/cas(me)3_part_A_MaE_label_JpgIndex_v2.xlsx is not taken:"
    " macro-expressions"
  ]
  put(tmp_path / "m", "MMEW_Macro_Exp.xlsx", "MMEW_Micro_Exp.xlsx")
  assert choose(tmp_path / "m", "mmew")[0] == "MMEW_Micro_Exp.xlsx"


@pytest.mark.parametrize("suffix", [".xls", ".csv"])
def test_tables_of_other_kinds_are_named_with_what_to_do(tmp_path, suffix):
  put(tmp_path, f"CASME2-coding-updated{suffix}")
  with pytest.raises(UserError, match=rf"found CASME2-\S+\{suffix}; save it as \.xlsx"):
    choose(tmp_path)
  put(tmp_path, "notes.xlsx")  # It is not taken for want of a better one.
  with pytest.raises(UserError, match=rf"found CASME2-\S+\{suffix}; save it as \.xlsx"):
    choose(tmp_path)
  given = tmp_path / f"CASME2-coding-updated{suffix}"
  with pytest.raises(UserError, match=r"not an \.xlsx file; save it as"):
    choose(tmp_path, given=given)
  with pytest.raises(UserError, match="no such file"):
    choose(tmp_path, given=tmp_path / "absent.xlsx")


def test_another_databases_workbook_inside_is_not_taken(tmp_path):
  put(tmp_path, f"CASME2/{UPDATED}", "CAS(ME)^2/code.xlsx")
  with pytest.raises(UserError, match=r"looked for casme\.xlsx, found no \.xlsx file"):
    choose(tmp_path, "casme")
  assert choose(put(tmp_path, "casme.xlsx"), "casme") == ("casme.xlsx", [])


def test_workbook_flag():
  keys = tuple(LAYOUTS)
  given = parse_workbooks(["casme2=a b=c.xlsx", "samm=d"], keys)
  assert {key: str(path) for key, path in given.items()} == {
    "casme2": "a b=c.xlsx",
    "samm": "d",
  }
  for text in ("casme2", "casme2=", "smic=a.xlsx", "=a"):
    with pytest.raises(UserError, match=r"expected KEY=FILE, KEY one of casme, casme2"):
      parse_workbooks([text], keys)
  with pytest.raises(UserError, match="given twice"):
    parse_workbooks(["samm=a", "samm=b"], keys)
