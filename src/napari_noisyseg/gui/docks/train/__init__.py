"""Step 3: training, and the runs."""
