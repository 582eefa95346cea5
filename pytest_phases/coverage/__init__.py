"""Coverage by phase: measured in the workers, judged in the controller."""
