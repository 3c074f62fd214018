"""The command layer: the only way in which the app changes anything."""
