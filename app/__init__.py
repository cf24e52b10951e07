"""The workbench: command line, pages and charts. The only code that imports streamlit or plotly."""
