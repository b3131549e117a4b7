"""A blind comparison by people: a page that asks, and scores of what they answered."""
