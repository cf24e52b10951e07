"""Pure builders: an analysis result in, a plotly figure and its description in words out."""
