"""The demo's sample database: Harbour, a marketplace that does not exist, made by the server itself from a seed."""
