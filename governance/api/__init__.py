"""The REST edge: it parses, makes one call, and renders."""
