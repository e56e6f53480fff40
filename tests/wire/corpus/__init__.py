"""Raw requests and raw answers with what must become of them, and the rule that says so."""
