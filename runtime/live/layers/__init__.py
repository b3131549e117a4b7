"""What is put together to one live picture: paintings on their way through time (`layer`), and the
parts of the picture that each is seen in (`parts`)."""
