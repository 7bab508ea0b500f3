"""Support for tests: fakes with the real interfaces, and ways to run coroutines without a reactor."""
