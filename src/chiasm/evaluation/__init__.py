"""Evaluation: predictions, scores with intervals, and systems side by side in one table."""
