"""What `export.targets.triton` writes: a model repository of NVIDIA Triton and what starts it."""
