"""From a teacher to pairs a student can learn from: made once, looked through, some kept back.

`making` runs a teacher over photos, `alignment` finds pairs that do not lie on one another,
`held_out` keeps some for judging, `likeness` says how near a student comes, `effects` are teachers
of ours.
"""
