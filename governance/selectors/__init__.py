"""The questions this app answers; they read and never write."""
