"""For all tests: a property that holds must not fail because the machine was busy."""

from hypothesis import settings

settings.register_profile("stack", deadline=None)
settings.load_profile("stack")
