"""Motion magnification, of frames in memory or of whole videos."""
