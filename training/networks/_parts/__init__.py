"""What several generators are made of; the generators themselves lie one folder above."""
