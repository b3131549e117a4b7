"""Pictures for training, held in memory."""
