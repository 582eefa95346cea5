"""The scheduler: a pure core to which things happen and which says what to do."""
