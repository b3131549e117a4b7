"""Do generators of pictures learn small sets of pictures, all of them?"""
