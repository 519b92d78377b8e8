"""What a workdir's kept config is compared by."""

import json

from infusenet_jax.runtime.workdir import config_differences


def test_a_field_that_is_newer_than_a_run_is_what_it_is_by_default(tiny_config):
  kept = json.loads(tiny_config.to_json_best_effort())
  del kept["simulated"]["offset"]
  assert config_differences(kept, tiny_config) == []
  tiny_config.simulated.offset = True
  expected = "config.simulated.offset is False there and True here"
  assert config_differences(kept, tiny_config) == [expected]
