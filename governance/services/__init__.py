"""The rules of this app that write."""
