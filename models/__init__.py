"""What turns sound into spikes and decisions, and how it learns: torch and numba, no plotting."""
