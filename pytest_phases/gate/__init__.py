"""The gate: what is there, what must be there, and what follows."""
