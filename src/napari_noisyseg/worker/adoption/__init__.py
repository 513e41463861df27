"""What runs and clicks found becomes part of the project; and what is known of it later."""
