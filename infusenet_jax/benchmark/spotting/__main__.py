"""`python -m infusenet_jax.benchmark.spotting`."""

from infusenet_jax.benchmark.spotting.document import main
from infusenet_jax.runtime.errors import exit_with_one_line

if __name__ == "__main__":
  exit_with_one_line(main)
