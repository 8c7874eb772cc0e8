"""Every way to know what a node draws, behind one Protocol."""
