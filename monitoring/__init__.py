"""What the stack shows of itself: metrics, status, dashboards. Imports nothing of ours."""
