"""What the items of a phase execute and open, traced for a later run, and that they write where they may."""
