"""From a trained model to proven files."""
