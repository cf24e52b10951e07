"""The one error class that users see as a sentence instead of a traceback."""


class SpikelensError(ValueError):
    """A mistake the user can mend; its message names the argument, the value and what is allowed."""
