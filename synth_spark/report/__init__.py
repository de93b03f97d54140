"""A QaResult as one self-contained page."""
