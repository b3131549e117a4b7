"""Half precision: `convert` decides what may be float16, `rescale` and `casts` make it so."""
