"""Real PostgreSQL and Valkey servers that come with the Python packages, for as long as needed.

``with servers(state, environ) as environment`` is the whole interface. The package knows nothing of
Django. It never listens on TCP, never creates an account of the operating system and never changes
the mode of a directory that it did not make.
"""

from deploy.devstack.endpoints import Endpoints
from deploy.devstack.errors import DevstackError
from deploy.devstack.supervisor import servers

__all__ = ["DevstackError", "Endpoints", "servers"]
