"""Stages: the command blocks of a plan, each run as a subprocess whose whole tree ends with it."""
