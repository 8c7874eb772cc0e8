"""What the building tells of itself: its PUE, from files and from Prometheus."""
