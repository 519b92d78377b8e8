"""`python -m infusenet_jax.predict.serve`."""

from infusenet_jax.predict.serve.command import main
from infusenet_jax.runtime.errors import exit_with_one_line

if __name__ == "__main__":
  exit_with_one_line(main)
