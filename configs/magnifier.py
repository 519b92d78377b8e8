"""Pretrains the magnifier on motion made on the fly.

python -m infusenet_jax.main --config=configs/magnifier.py
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  config = ConfigDict()
  config.task = "magnifier"
  config.name = "magnifier"
  config.seed = 0
  config.size = 48  # pixels, of the frames
  config.batch_size = 4
  config.still = 1  # pairs of each batch in which only the light changes
  config.still_weight = 0.1  # of |d(still)| / |d(moving)| in the loss
  config.steps = 4500
  config.learning_rate = 0.002
  config.log_steps = 50
  return config
