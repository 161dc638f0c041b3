"""Errors: their classes, their categories, and keeping secrets out of them."""
