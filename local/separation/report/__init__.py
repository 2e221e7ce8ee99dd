"""Tables, plots and the listening page."""
