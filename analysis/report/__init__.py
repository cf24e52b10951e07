"""The whole examination of some encoders as one page, with the numbers behind it."""
