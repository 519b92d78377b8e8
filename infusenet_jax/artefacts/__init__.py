"""Where trained models look, and what light, head motion and noise make them say."""
