"""The page that one would write first: every backup into one table and one chart. Only to be measured beside ours."""

import os

import pandas as pd  # type: ignore[import-untyped]
import plotly.express as px
import streamlit as st
from sqlalchemy import create_engine

frame = pd.read_sql(
    "SELECT id, source, started_at, status, dumped_bytes FROM backup", create_engine(os.environ["NAIVE_URL"])
)
wanted = st.selectbox("Status", ["any", *sorted(frame["status"].unique())])
shown = frame if wanted == "any" else frame[frame["status"] == wanted]
st.title(f"{len(shown)} backups")
st.plotly_chart(px.scatter(shown, x="started_at", y="dumped_bytes", color="status"))
st.dataframe(shown)
