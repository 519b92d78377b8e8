"""Trained networks as one file that runs elsewhere."""
