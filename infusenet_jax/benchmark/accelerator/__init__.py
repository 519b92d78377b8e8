"""One accelerator, measured in an hour: how exact, how fast, beside what."""
