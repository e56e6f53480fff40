"""For all tests: what holds must not fail because the machine was busy."""

import os

from hypothesis import settings

settings.register_profile("stack", deadline=None)
settings.load_profile("stack")

# Other tests run beside a stack: if it yielded the CPUs to them, they would be what is measured.
os.environ.setdefault("APP_NICE", "0")

# One form of the balancer, whatever else was compiled here; the corpus is for both.
os.environ.setdefault("BALANCER_COMPILED", "false")
