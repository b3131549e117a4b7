"""What per-scene normalization folding costs and keeps."""
