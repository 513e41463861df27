"""Step 1: fields, points and rough masks."""
