"""A demonstration that walks a whole story through public doors only.

HTTP, the stock OpenLineage client, the portal's pages, and operators' command lines: what a user
has. There is no ORM and no Django here, so what it shows is what anybody can do.
"""
