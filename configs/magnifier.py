"""Pretrains the magnifier on motion made on the fly.

    python -m infusenet_jax.main --config=magnifier

Half an hour on one core, and WORKDIR/magnifier.npz, which ships with this package as
infusenet_jax/models/magnifier.npz. The log's last lines then read about: image 0.42
(about 1 is what magnifying nothing costs), still/moving 0.15. docs/magnifier.md has
what it does on pictures. Oh et al. (2018) train on 100,000 pairs of 384 px with Adam.
18,000 pairs of 48 px suffice here from a start that already magnifies a little
(eulerian.py: after 100 steps a third of the loss of a random start) and with Muon
(0.68 against Adam's 0.77 after 200 steps).
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
  config.learning_rate = 0.002  # at 0.004 the loss stayed above 1 for 500 steps
  config.log_steps = 50
  return config
