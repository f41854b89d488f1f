"""From a data set to a small image classifier that is proven on the device it runs on."""

__version__ = "0.1.0"
