"""Structured pruning: whole channels and blocks taken out of a trained network."""
