"""What a recording holds: probes, reconstruction, gradients, separability. No streamlit, no plotly."""
