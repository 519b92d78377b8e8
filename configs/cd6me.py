"""CD6ME with InfuseNet at the scale of the paper: 224 px, full ResNet-18s, six folds.

    python -m infusenet_jax.main --config=cd6me --config.data_dir=RECORDS

RECORDS are the licensed databases as `python -m data_prep build` prepares them. With
no config.data_dir, simulated databases of the full published size (2,031 clips) are
written and used, and everything that is printed and written says so.

On two CPU cores a step was measured at about 5 s (8 s beside other work), so the whole
recipe would take weeks there: 321,000 steps. Try `--config.train.epochs=2
--config.seeds=45, --config.folds=samm` first. Each fold and seed keeps one checkpoint
of 84 MB, 2.5 GB in all; while it is trained, and with config.train.keep_state, of 241.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  config = ConfigDict()
  config.task = "cd6me"
  config.name = "cd6me"

  config.data_dir = ""  # prepared records; empty: simulated databases stand in
  config.record_size = 224  # pixels, where records are made here
  config.image_size = 224  # pixels that the network sees, a multiple of 16
  config.simulated = ConfigDict(
    {
      "dir": "data/simulated-cd6me",
      "scale": 1.0,  # of the 2,031 clips
      "seed": 0,
      "labels": "statistics",  # AU patterns as often as in the six databases
      "nuisance": 1.0,  # lighting, head motion, noise; 0 switches them off
      "head": "kept",  # or "removed": the head's own motion, out of flow and apexes
      "offset": False,  # whether records hold the frame at the offset, too
      # What makes it harder, as flags of `data_prep simulate`, such as "5:0.4,6:0.3".
      "strength": "",  # factor on each AU's motion and relief
      "doubtful": "",  # share of an AU's coded clips that do not show it
      "missed": "",  # clips that show an AU uncoded, per coded one
      "coders": "",  # factor on both shares, by database
      "unlike": 0.0,  # by how much databases differ in AUs' strengths
    }
  )

  # "loso" leaves one subject out; "all" trains one network on every clip, for use, and
  # tests nothing.
  config.protocol = "cd6me"
  config.folds = "all"  # or a list such as 'casme2,samm'
  config.seeds = (45, 46, 47, 48, 49)  # five runs, averaged

  config.model = ConfigDict(
    {
      "name": "infusenet",  # or a network of models/baselines.py, models/branches.py
      "infusion": "unitary",  # or "published"
      "gate": "clip",  # or "batch", as published
      "detached": False,  # whether gates teach the flow branch nothing; published: not
      "infused": 5,  # places that infuse: stages 1 to 4, pooled; in the others none
      # Or "reconstructed": decoded frames minus the onset; or "difference": frames
      # minus the onset, nothing magnified.
      "magnified": "latents",
      "window_apex": True,  # whether the window apex is magnified as well as the apex
      "amp": 10.0,  # magnification factor
      "more_amps": (),  # further ones, such as (5.0, 20.0), seen beside it
      # Beside them "onset" or "signed"; or since both ends, "offset", "offset_mean"
      # (docs/magnifier.md).
      "reference": "",
      "width": 64,  # channels of the first stage
      "magnifier_weights": "pretrained",  # ours; or a .npz or PyTorch file
      "resnet_weights": "",  # a torchvision or timm ResNet-18 for the trunks, or none
      "weights": "",  # a checkpoint of the authors' form for all of InfuseNet, or none
      "streams": 2,  # of off_apexnet: 2 as in its paper, 1 as in the benchmark
    }
  )
  config.decide_by = "both"  # mean logit of both heads; or "flow", "magnified"
  # Logits above it are positive. "fitted": above thresholds per AU, fitted inside the
  # training databases by networks that leave one of them out (3.5 times the training).
  config.decide_at = "0"

  config.train = ConfigDict(
    {
      "epochs": 200,
      "batch_size": 32,
      "loss": "bce",  # the protocol's; or for rare AUs "focal", "logit_adjusted"
      "learning_rate": 1e-4,
      "l2": 1e-3,  # added to the gradient, not decoupled
      "schedule": "constant",  # or "cosine": the rate falls to 0 by the last epoch
      "mirror": False,  # whether half of the faces, at random, are seen mirrored
      "magnifier": False,  # whether the magnifier is trained along
      "checkpoint_epochs": 5,
      "keep_state": False,  # whether finished folds keep the optimiser's state, too
    }
  )
  # How many folds (and seeds) are trained side by side, and over how many devices the
  # batch of each is split; -1: as many as there are devices for.
  config.mesh = ConfigDict({"fold": 1, "data": -1})
  # Licences forbid passing faces on: False leaves them out of report.html.
  config.report = ConfigDict({"pictures": True})
  config.dtype = "auto"  # bfloat16 on accelerators, float32 on CPUs
  return config
