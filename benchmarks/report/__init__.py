"""From result files to tables and plots; measures nothing."""
