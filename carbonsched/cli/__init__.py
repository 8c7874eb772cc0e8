"""Commands: they parse, ask, print, and turn errors into one line and an exit status."""
