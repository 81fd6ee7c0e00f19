"""How Colophon is put together and run; it may import every app, and no app imports it."""
