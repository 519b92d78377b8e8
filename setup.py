"""Which folders make the wheel; everything else is in setup.cfg.

configs/ stays at the top of a clone, where it is read and copied; installed, it lies in
the package, so that no other project's `configs` meets it.
"""

from setuptools import find_packages, setup

setup(
  packages=[
    *find_packages(include=["infusenet_jax*", "data_prep*"]),
    "infusenet_jax.configs",
  ],
  package_dir={"infusenet_jax.configs": "configs"},
)
