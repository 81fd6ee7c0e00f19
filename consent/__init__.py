"""Whose data it is, and what they allow."""
