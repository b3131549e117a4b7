"""Picture files in and out: `reading` gives upright RGB of 8 or 16 bits, `writing` keeps what
the format can hold: metadata, color profiles, alpha, depth."""
