"""Step 4: decisions, nucleus by nucleus."""
