"""Pretrains the magnifier on motion made on the fly.

python -m infusenet_jax.main --config=configs/magnifier.py
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  config = ConfigDict()
  config.task = "magnifier"
  config.name = "magnifier"
  config.seed = 0
  config.size = 64  # pixels, of the frames
  config.batch_size = 4
  config.still = 1  # pairs of each batch in which only the light changes
  config.still_weight = 0.02  # of |d(still)| / |d(moving)| in the loss
  config.steps = 8000
  config.learning_rate = 1e-3
  config.b2 = 0.99  # of Adam; batches are small and differ much
  config.log_steps = 100
  return config
