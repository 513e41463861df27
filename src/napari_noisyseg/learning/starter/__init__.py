"""How the networks that come with the package come about, and how they take corrections."""
