"""The side of a run that starts it, asks it to stop, and sees whether it lives."""
