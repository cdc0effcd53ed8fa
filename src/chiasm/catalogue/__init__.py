"""The catalogue: 249 published systems, what they are, and what this library has shown of each."""
