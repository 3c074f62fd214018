"""Backup history."""

import streamlit as st

from monitor_app import data
from monitor_app.queries.backups import BackupFilter

found = data.backups(BackupFilter(), 1)
st.title(f"{found.count} backups")
st.dataframe([{"id": row.id, "status": row.status.value} for row in found.rows], alt="Backups")
