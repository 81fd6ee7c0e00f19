"""The data subjects' door: server-rendered pages that need no JavaScript and no account."""
