"""Photos whose label a model disputes with confidence."""
