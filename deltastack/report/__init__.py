"""Tables, figures and the page, from results (pure)."""
