"""What a session does differently on a GPU."""
