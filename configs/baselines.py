"""The networks that InfuseNet is compared with: same data, folds, seeds and budget.

    python -m infusenet_jax.main --config=baselines:sssnet
    python -m infusenet_jax.main --config=baselines:sssnet,quickstart

The name is one of
  sssnet, ststnet, off_apexnet: small published networks, on flow;
  resnet18: ResNet-18 on flow, at 112 px or what there is of them;
  resnet18_reconstructed: ResNet-18 on magnified frames that were decoded, minus the
    decoded onset;
  resnet18_difference: ResNet-18 on apex minus onset and window apex minus onset, as
    they are;
  concatenated_difference: ResNet-18 on these and the flow, as one image of 9 channels;
  concatenated_features_difference: a ResNet-18 on each, their pooled features beside
    each other;
  magnified_branch, flow_branch: one of InfuseNet's branches alone;
  concatenated: InfuseNet's branches side by side, without infusion.
After it stands the config that it is compared in, cd6me (default) or quickstart.

Here all have the same epochs, rate and input size, whatever each was published with:
The config published trains them as their published rows were trained.
"""

from ml_collections import ConfigDict

from infusenet_jax.runtime.configs import shipped
from infusenet_jax.runtime.errors import UserError

# What each changes in config.model.
NETWORKS = (
  *("sssnet", "ststnet", "off_apexnet", "resnet18"),
  *("flow_branch", "magnified_branch", "concatenated"),
)
MODELS = {name: {"name": name} for name in NETWORKS} | {
  "resnet18_reconstructed": {"name": "magnified_branch", "magnified": "reconstructed"},
  "resnet18_difference": {"name": "magnified_branch", "magnified": "difference"},
  "concatenated_difference": {"name": "concatenated_input", "magnified": "difference"},
  "concatenated_features_difference": {
    "name": "concatenated",
    "magnified": "difference",
  },
}
SCALES = ("cd6me", "quickstart")


def get_config(name: str = "sssnet") -> ConfigDict:
  network, _, scale = name.partition(",")
  scale = scale or "cd6me"
  if network not in MODELS or scale not in SCALES:
    raise UserError(
      f"--config=baselines:{name}: expected one of {', '.join(MODELS)}, then "
      f"nothing or one of {', '.join(SCALES)}, such as baselines:sssnet,quickstart"
    )
  config = shipped(scale).get_config()
  config.name = f"{scale}-{network}"
  config.model.update(MODELS[network] | {"resnet_weights": ""})
  return config
