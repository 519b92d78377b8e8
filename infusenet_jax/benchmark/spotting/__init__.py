"""How well micro-expressions are spotted in long simulated videos, and beside what."""
