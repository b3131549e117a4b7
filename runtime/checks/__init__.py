"""What the doctor finds out: `machine` tries everything, `summary` says what of Impasto works then,
`licenses` what is installed and under which terms."""
