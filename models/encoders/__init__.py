"""Speech-to-spike encoders, each with its decoder where one exists; one file, one family."""
