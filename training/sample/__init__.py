"""Pictures out of noise: what a generator of textures and paintings has learned, as files."""
