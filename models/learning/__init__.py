"""Learning rules and losses."""
