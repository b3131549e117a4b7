"""Is the artifact the network it was made from? Parity, objective, delivery, validation report."""
