"""What every protocol of the cspd public-key-infrastructure server shares."""

__version__ = "0.1.0"
