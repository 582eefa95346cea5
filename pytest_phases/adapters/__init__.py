"""What carries the core's decisions out: xdist workers, or this one process."""
