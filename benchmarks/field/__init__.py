"""Small inputs from the field: other people's models, pictures and folders."""
