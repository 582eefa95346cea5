"""Postage and labels for parcels."""
