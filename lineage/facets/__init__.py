"""OpenLineage's facets: what each should look like, and how each is kept. Pure."""
