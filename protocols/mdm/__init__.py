"""The web service that products for mobile device management (MDM) order digital IDs from."""
