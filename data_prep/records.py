"""Writes the TFDS records of one database: ArrayRecord files, without TensorFlow.

TFDS's own builder would shuffle in memory and serialise maps in an order that changes
from run to run. Writing the examples one by one needs little memory and gives the same
bytes every time.
"""

import contextlib
import errno
import io
import os
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer

from infusenet_jax.clips.schema import (
  SPLIT,
  VERSION,
  array_record,
  record_features,
)


class RecordWriter:
  """Writes examples in the order given; `finish` writes what TFDS needs to read them.

  All methods raise OSError if the disk fails or is full.
  """

  def __init__(self, folder: Path, name: str, size: int, offset: bool = False):
    folder.mkdir(parents=True)
    self._folder = folder
    self._name = name
    self._features = record_features(size, offset)
    self._serializer = example_serializer.ExampleSerializer(
      self._features.get_serialized_info()
    )
    self._path = folder / "records"
    self._writer = array_record().ArrayRecordWriter(str(self._path), "group_size:1")
    self._count = self._bytes = 0

  def write(self, example: dict) -> None:
    """Adds one example; images are given as PNG bytes."""
    # TFDS takes encoded bytes as they are, but would decode an array's with
    # TensorFlow.
    example = {
      key: io.BytesIO(value) if isinstance(value, bytes) else value
      for key, value in example.items()
    }
    proto = self._serializer.get_tf_example(self._features.encode_example(example))
    data = proto.SerializeToString(deterministic=True)
    with _os_errors():
      self._writer.write(data)
    self._count += 1
    self._bytes += len(data)

  def finish(self, description: str, metadata: dict) -> None:
    """Closes the file and writes features, counts and metadata beside it."""
    with _os_errors():
      self._writer.close()
    template = tfds.core.ShardedFileTemplate(
      data_dir=self._folder,
      dataset_name=self._name,
      split=SPLIT,
      filetype_suffix="array_record",
    )
    self._path.rename(template.sharded_filepath(shard_index=0, num_shards=1))
    tfds.folder_dataset.write_metadata(
      data_dir=self._folder,
      features=self._features,
      version=VERSION,
      split_infos=[
        tfds.core.SplitInfo(
          name=SPLIT,
          shard_lengths=[self._count],
          num_bytes=self._bytes,
          filename_template=template,
        )
      ],
      description=description,
      metadata=tfds.core.MetadataDict(metadata),
      check_data=False,  # The check would read the records with TensorFlow.
    )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    if self._writer.is_open():
      with contextlib.suppress(RuntimeError):
        self._writer.close()


@contextlib.contextmanager
def _os_errors():
  """Turns ArrayRecord's RuntimeError back into the OSError that it reports."""
  try:
    yield
  except RuntimeError as error:
    full = os.strerror(errno.ENOSPC) in str(error)
    line = str(error).splitlines()[0]
    raise OSError(errno.ENOSPC if full else errno.EIO, line) from error
