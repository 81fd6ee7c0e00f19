"""People, decisions, memberships and the gate over REST."""
