"""Published pipelines, one a file."""
