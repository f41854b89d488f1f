"""How fast a file answers."""
