"""How fast a config runs, of what the device can do, and beside PyTorch."""
