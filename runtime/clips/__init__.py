"""Painting clips from file to file: decode, paint and stabilize, encode, resume."""
