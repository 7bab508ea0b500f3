"""Whether the system clock may be trusted: a time source is asked, and a verdict kept."""
