"""Other people's formats: what comes in as points and masks, what goes out as nuclei."""
