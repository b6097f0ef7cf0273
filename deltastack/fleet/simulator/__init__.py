"""The serving simulator: requests in, time by component out."""
