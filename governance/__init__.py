"""What exists, and under which rules."""
