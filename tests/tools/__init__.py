"""What is no test: pages made from the source, and the README's commands run."""
