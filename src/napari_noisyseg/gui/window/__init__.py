"""What stands around the docks: header, dialogs, keys."""
