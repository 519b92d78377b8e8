"""Measures where trained models look, and how light, head motion and noise mislead."""
