"""Reads the annotations of a database: from workbooks to clips."""

from data_prep.databases.annotations.clips import Annotations, Clip, read_annotations

__all__ = ["Annotations", "Clip", "read_annotations"]
