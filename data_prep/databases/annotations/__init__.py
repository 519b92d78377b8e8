"""What the coders of a database wrote: workbooks -> clips."""

from data_prep.databases.annotations.clips import Annotations, Clip, read_annotations

__all__ = ["Annotations", "Clip", "read_annotations"]
