"""Lineage as documents for other eyes: pictures and W3C PROV. Pure: no database, no clock."""
