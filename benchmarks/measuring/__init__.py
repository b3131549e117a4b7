"""How figures are taken: interleaved rounds, order statistics, calibration, result files."""
