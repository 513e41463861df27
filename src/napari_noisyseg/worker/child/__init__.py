"""The side of a run that trains: all that happens in its own process."""
