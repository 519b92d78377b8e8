"""The networks that InfuseNet is compared with: same data, folds, seeds and budget.

    python -m infusenet_jax.main --config=configs/baselines.py:sssnet
    python -m infusenet_jax.main --config=configs/baselines.py:sssnet,quickstart

The name is one of sssnet, ststnet, off_apexnet and resnet18; after it stands the
config that it is compared in, cd6me (default) or quickstart. Each network was published
with 1e-4; `--config.train.learning_rate` gives it another try.
"""

from ml_collections import ConfigDict

from configs import cd6me, quickstart
from infusenet_jax.errors import UserError
from infusenet_jax.models.baselines import BASELINES

SCALES = {"cd6me": cd6me, "quickstart": quickstart}


def get_config(name: str = "sssnet") -> ConfigDict:
  network, _, scale = name.partition(",")
  scale = scale or "cd6me"
  if network not in BASELINES or scale not in SCALES:
    raise UserError(
      f"configs/baselines.py:{name}: expected one of {', '.join(BASELINES)}, then "
      f"nothing or one of {', '.join(SCALES)}, such as baselines.py:sssnet,quickstart"
    )
  config = SCALES[scale].get_config()
  config.name = f"{scale}-{network}"
  config.model.update({"name": network, "magnifier_weights": "", "resnet_weights": ""})
  return config
