"""The networks that ship with the package: small, trained on simulated databases alone.

    bash launch/weights.sh    # all of it, from nothing

That runs both halves of this config, then packs what they give into
infusenet_jax/predict/weights/:

    python -m infusenet_jax.main --config=configs/shipped.py          # for use
    python -m infusenet_jax.main --config=configs/shipped.py:twin     # for calibration

The first trains one network on every clip of the six simulated databases
(config.protocol = "all"). The second trains the same network six times, each time
without one database; what those say of the clips that they never saw is what the
probabilities of the first are calibrated by.

Against the quickstart: half of the published number of clips, 1,016, instead of 244,
and 24 epochs instead of 20. The log says how long they take.
"""

from ml_collections import ConfigDict

from infusenet_jax.runtime.configs import shipped
from infusenet_jax.runtime.errors import UserError


def get_config(part: str = "all") -> ConfigDict:
  if part not in ("all", "twin"):
    raise UserError(f"configs/shipped.py:{part}: expected nothing or twin")
  config = shipped("quickstart").get_config()
  config.name = "shipped" if part == "all" else "shipped-twin"
  config.protocol = "all" if part == "all" else "cd6me"
  config.simulated.update({"dir": "data/simulated-shipped", "scale": 0.5})
  config.train.update({"epochs": 24, "checkpoint_epochs": 5})
  return config
