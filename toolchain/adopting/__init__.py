"""A model that was trained elsewhere becomes the source of an export: `own_model` reads it, `scale`
finds how its pixels were prepared, `answers` what its numbers mean, `adoption` publishes it."""
