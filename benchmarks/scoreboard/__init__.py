"""Pictures of models beside those of published networks of the same paintings."""
