"""How the results of a benchmark are shown."""
