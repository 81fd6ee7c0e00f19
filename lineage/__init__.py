"""What flowed where."""
