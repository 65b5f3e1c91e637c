"""Simulated upstreams: servers written from the protocol documents, with nothing of the relay in them."""
