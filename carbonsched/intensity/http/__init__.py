"""Careful exchanges with services that nobody here controls."""
