"""Looking names up, without blocking and without believing forged answers."""
