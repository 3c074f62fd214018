"""The monitoring app: shows what the catalog knows. Streamlit and Plotly live here and nowhere else."""
