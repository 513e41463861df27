"""From annotation to what a method sees: regions, training images, tiles, batches."""
