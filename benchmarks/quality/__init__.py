"""How good pictures are: a model's objective against optimization of the same picture."""
