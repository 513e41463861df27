"""Networks, and what several methods have in common when they train them: plain torch, no files."""
