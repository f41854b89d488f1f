"""What the commands do when things go wrong: campaigns of many trials, each script one question."""
