"""What happens when pytest collects: items find their phase, stages join them, late modules wait."""
