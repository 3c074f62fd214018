"""Reads of the catalog for pages: frozen rows out, always with a limit; no Streamlit, no Plotly."""
