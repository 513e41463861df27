"""What the outlines and centres of one project learn from its decisions."""
