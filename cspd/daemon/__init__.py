"""The pieces that ``cspd.app`` builds the running daemon of."""
