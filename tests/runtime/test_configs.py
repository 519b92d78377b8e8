"""Configs by name and by path, and files of a user's that are no configs."""

import pytest

from infusenet_jax.runtime.configs import (
  config_fields,
  config_file,
  load_config,
  shipped,
  shipped_names,
)
from infusenet_jax.runtime.errors import UserError

FROM_SHIPPED = """\
from infusenet_jax.runtime.configs import shipped


def get_config(epochs="3"):
  config = shipped("quickstart").get_config()
"""


def test_every_config_that_ships_loads_by_its_name():
  for name in shipped_names():
    assert load_config(name).name == shipped(name).get_config().name
  assert load_config("study:rates").name == "study-rates"
  assert load_config("baselines:resnet18,quickstart").image_size == 64


def test_a_path_stays_a_path_and_may_build_on_one_that_ships(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  body = FROM_SHIPPED + "  config.train.epochs = int(epochs)\n  return config\n"
  (tmp_path / "quickstart.py").write_text(body)
  assert config_file("quickstart.py:7") == "quickstart.py:7"
  assert load_config("quickstart.py").train.epochs == 3
  assert load_config("quickstart.py:7").train.epochs == 7
  assert load_config("quickstart").train.epochs == 20


@pytest.mark.parametrize("name", ["studies", "quickstart2:x"])
def test_an_unknown_name_is_told_those_that_there_are(name):
  with pytest.raises(UserError, match="published, quickstart, shipped, study"):
    config_file(name)


def test_the_path_of_a_clone_is_told_the_name_where_there_is_no_clone(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError, match=r"no such file.*--config=cd6me names one"):
    config_file("configs/cd6me.py")


@pytest.mark.parametrize(
  "body, words",
  [
    ("config = (\n", r"own\.py, line 1: '\(' was never closed"),
    ("import nothing_of_this_name\n", r"line 1: ModuleNotFoundError: No module named"),
    ("x = 1\n", r"own\.py: has no function get_config"),
    (FROM_SHIPPED, r"own\.py, line 4: get_config returns NoneType.*`return config`"),
    (
      FROM_SHIPPED + "  config.train.epoch = 3\n  return config\n",
      r"own\.py, line 4: config\.train\.epoch is no .*is config\.train\.epochs meant",
    ),
    (
      FROM_SHIPPED + "  config.lock()\n  config.trian = 3\n  return config\n",
      r"own\.py, line 7: AttributeError: .*trian",
    ),
    (
      FROM_SHIPPED + "  del config.train.l2, config.seeds\n  return config\n",
      r"own\.py, line 4: .* without config\.seeds, config\.train\.l2; begin with .*"
      r"shipped\(\"cd6me\"\)",
    ),
    (
      "from ml_collections import ConfigDict\n\n\ndef get_config():\n"
      "  return ConfigDict({'task': 'cd6me', 'name': 'mine'})\n",
      r"line 4: .*config\.data_dir, .* and \d+ more; begin with",
    ),
  ],
)
def test_a_file_that_is_no_config_gets_its_line(tmp_path, body, words):
  path = tmp_path / "own.py"
  path.write_text(body)
  with pytest.raises(UserError, match=words) as refused:
    load_config(str(path))
  assert "\n" not in str(refused.value)


def test_fields_are_named_as_overrides_are():
  fields = config_fields(shipped("cd6me").get_config())
  assert fields["train.l2"] == 1e-3 and fields["seeds"][0] == 45
