"""Painting picture files: one painter for stills and animations, whole or in exact tiles."""
