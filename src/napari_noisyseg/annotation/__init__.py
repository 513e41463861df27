"""What people's marks mean for training: a frozen copy of them, and whether they suffice."""
