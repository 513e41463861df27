"""Networks: plain torch modules that know no settings, files or devices."""
