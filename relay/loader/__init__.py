"""Files and environment in, one validated `Snapshot` out; and the watch that reads them again."""
