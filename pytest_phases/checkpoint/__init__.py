"""What of an earlier run need not run again, decided from evidence."""
