"""Where backups live: object keys, sealing, local folders and S3-like stores."""
