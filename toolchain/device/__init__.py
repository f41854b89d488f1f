"""What runs on a device beside the classifier: the bundle's command line, and its doctor."""
