"""What learns and is no network: what several methods share, and the starter's own training."""
