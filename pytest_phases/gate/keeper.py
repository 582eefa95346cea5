"""Closing the gate of a run: the last things are looked at, and the decision is written down."""

from __future__ import annotations
