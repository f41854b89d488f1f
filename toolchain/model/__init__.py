"""What a model file is: its description, manifest, seal and signatures, and the images it takes."""
