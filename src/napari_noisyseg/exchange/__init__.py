"""Other programs' formats: points and masks are read, nuclei are written."""
