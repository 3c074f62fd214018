"""The page that one would write first: every backup into one table and one chart. Only to be measured beside ours."""

import os

import plotly.express as px
import streamlit as st

catalog = st.connection("naive", type="sql", url=os.environ["NAIVE_URL"])
frame = catalog.query("SELECT id, source, started_at, status, dumped_bytes FROM backup", ttl=0)
wanted = st.selectbox("Status", ["any", *sorted(frame["status"].unique())])
shown = frame if wanted == "any" else frame[frame["status"] == wanted]
st.title(f"{len(shown)} backups")
st.plotly_chart(px.scatter(shown, x="started_at", y="dumped_bytes", color="status"))
st.dataframe(shown)
