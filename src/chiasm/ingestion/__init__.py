"""A folder's files as units: read, recognised, transcribed."""
