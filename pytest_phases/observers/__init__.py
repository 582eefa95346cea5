"""What tells people of a run: each observer is a plugin that knows the events and nothing else."""
