"""The command line: the same operations as the flows, without a Prefect server."""
