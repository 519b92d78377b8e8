"""`python -m infusenet_jax.predict.magnify`."""

from infusenet_jax.predict.magnify.command import main
from infusenet_jax.runtime.errors import exit_with_one_line

if __name__ == "__main__":
  exit_with_one_line(main)
