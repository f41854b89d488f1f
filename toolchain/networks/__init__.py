"""The networks that can be trained, each with its recipe: one function a network."""
