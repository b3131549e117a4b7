"""A model file, opened and understood: what it eats, how it is fed, what it gives back.

`store` finds the file, `formats` the engine, `zoo` and `variants` the files of one style.
`session.open_session` reads the card, or has `probe` work one out, and returns a `StyleSession`;
`stylizer` puts effects around one or several sessions. `folding` and `folding_engine` run int8
files whose normalization is folded per scene.
"""
