"""What we use of Grafana's SDK.

Importing its classic builders warns that schema v2 is preferred. Classic JSON is meant: it is what
provisioning by file takes in Grafana 11, 12 and 13 alike. So the warning is kept from the user.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import (
        common,
        dashboard,
        prometheus,
        stat,
        statetimeline,
        timeseries,
    )
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common as common_models
    from grafana_foundation_sdk.models import dashboard as models
    from grafana_foundation_sdk.models import units

__all__ = [
    "JSONEncoder",
    "common",
    "common_models",
    "dashboard",
    "models",
    "prometheus",
    "stat",
    "statetimeline",
    "timeseries",
    "units",
]
