"""Do the adversarial methods learn problems whose answer is known?"""
