"""What `check_config` refuses before anything is compiled."""

import math

import pytest

from infusenet_jax.models.magnified_input import MagnifiedInput
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine.config import check_config, magnified_input


@pytest.mark.parametrize(
  "field, value, message",
  [
    ("train.learning_rate", math.nan, "is nan; expected a finite number"),
    ("train.l2", math.inf, "is inf; expected a finite number"),
    ("train.l2", -1.0, "expected 0 or more"),
    ("model.amp", math.nan, "is nan; expected a finite number"),
    ("model.amp", True, "is True; expected a finite number"),
    ("model.more_amps", 5.0, "is 5.0; expected several values"),
    ("model.more_amps", (5.0, 1.0), "expected factors above 1, such as 5,20"),
    ("model.more_amps", (math.nan,), "expected factors above 1"),
    ("model.more_amps", ("5",), "expected factors above 1"),
    (
      "model.reference",
      "apex",
      "expected one of '', onset, signed, offset, offset_mean",
    ),
    (
      "model.reference",
      "offset",
      "'offset', but config.simulated.offset is False; set",
    ),
    ("simulated.scale", math.nan, "is nan; expected a finite number"),
    ("simulated.scale", 1.5, "expected above 0 and up to 1"),
    ("simulated.nuisance", -1.0, "expected from 0 to 3"),
    ("train.epochs", True, "is True; expected a whole number"),
    ("train.epochs", "20", "is '20'; expected a whole number"),
    ("train.batch_size", 2.5, "is 2.5; expected a whole number"),
    ("train.mirror", 1, "is 1; expected True or False"),
    ("simulated.seed", 2**63, "expected a whole number below 2^63"),
    ("seeds", (2**63,), "whole numbers from 0 and below 2^63"),
    ("seeds", (True,), "whole numbers from 0"),
    ("folds", 3, "is 3; expected a text"),
  ],
)
def test_a_value_of_another_kind_is_refused(tiny_config, field, value, message):
  *above, name = field.split(".")
  holder = tiny_config[above[0]] if above else tiny_config
  del holder[name]  # ml_collections would keep the kind that was there.
  holder[name] = value
  with pytest.raises(UserError) as refused:
    check_config(tiny_config)
  said = str(refused.value)
  assert said.startswith(f"config.{field} ") and message in said


@pytest.mark.parametrize(
  "fields, message",
  [
    (
      {"magnified": "reconstructed", "reference": "onset"},
      "reference is 'onset', which is of latents, but config.model.magnified is 'recon",
    ),
    (
      {"magnified": "difference", "more_amps": (5.0,)},
      r"more_amps is \(5.0,\), but .* is 'difference', which magnifies nothing",
    ),
    ({"name": "concatenated_input"}, "magnified is 'latents', which are smaller than"),
  ],
)
def test_what_no_network_can_see_is_refused(tiny_config, fields, message):
  tiny_config.model.update(fields)
  with pytest.raises(UserError, match=f"^config.model.{message}"):
    check_config(tiny_config)


def test_configs_from_before_a_field_see_what_they_saw(tiny_config):
  tiny_config.model.amp = 5.0
  with tiny_config.unlocked():
    del tiny_config.model.reference, tiny_config.model.more_amps
  check_config(tiny_config)
  assert magnified_input(tiny_config) == MagnifiedInput(amp=5.0)


def test_whole_numbers_are_rates_too(tiny_config):
  tiny_config.model.amp, tiny_config.train.l2 = 5, 0
  tiny_config.seeds = (2**63 - 1,)
  check_config(tiny_config)


def test_simulated_settings_do_not_matter_beside_records(tiny_config):
  tiny_config.simulated.scale = 2.0
  tiny_config.data_dir = "records"
  check_config(tiny_config)
