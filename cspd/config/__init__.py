"""Configuration: text becomes a checked, frozen object once."""
