"""What pages are made of: titles, tables, charts, and the one place that escapes outside text."""
