"""Every exported format of one checkpoint: validation reports and times in one table."""
