"""How steady painted clips are, measured on motion that is known exactly."""
