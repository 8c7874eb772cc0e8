"""Whose each microjoule is: attribution, segments, and the metering that drives them."""
