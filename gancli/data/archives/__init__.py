"""Files that hold many images, read in place: zip, tar, parquet and Arrow."""
