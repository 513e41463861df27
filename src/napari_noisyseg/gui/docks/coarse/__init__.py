"""Step 2: coarse labels, made from the points."""
