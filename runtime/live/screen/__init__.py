"""What stands on the screen besides the picture and its figures."""
