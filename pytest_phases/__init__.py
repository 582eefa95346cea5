"""One pytest run for the phases of a project: tests and build stages across xdist workers."""

__version__ = "0.1.0"
