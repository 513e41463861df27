"""What learns and is no network: how the starter comes about, and how it takes corrections."""
