"""Mints and checks the short-lived tokens that callers open sessions with.

A *token* is a signed JWT (`tokens`) of a key ring in the data directory (`keys`). A *service* (`service`) decides what
a token may say and mints it; the *doors* (`doors`) are its HTTP routes, mounted by the relay or served alone with
`python -m token_service`. The *store* (`store`) is one SQLite file, shared by all worker processes: token ids that were
used, names that were revoked, and session settings too large for a token. `policy` says who may ask: API keys,
origins, rate. Verification at the socket is `relay.net.auth`.
"""
