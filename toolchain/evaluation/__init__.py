"""How right a file's answers are, and the verdict on it."""
