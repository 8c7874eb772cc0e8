"""Grid carbon intensity: providers behind one port, a chain of them, and who decides in a gap."""
