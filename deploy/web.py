"""What the web server does before it listens; gunicorn reads this as its configuration."""

from typing import Any

# Loaded once and then forked: the check needs the application, and two loads would be one too many.
preload_app = True


def on_starting(_server: Any) -> None:
    """Refuse to start while people whom a backup brought back are not forgotten again."""
    from deploy.starting import refuse_unless_ready

    refuse_unless_ready()
