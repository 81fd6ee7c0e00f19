"""The operators' desk: what waits for people who run the service, and what they can do about it.

Its pages are for Django staff, who sign in where the admin has them sign in. They name data sets,
models and requests, and never a person.
"""
