"""The key service: software keys and PKCS#11 behind one interface."""
