"""The servers that are not Python: where they are found, how they are got and started."""
