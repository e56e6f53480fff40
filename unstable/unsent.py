"""Statuses of requests that got none: never sent, only logged and counted. nginx's numbers."""

CLOSED_WITHOUT_ANSWER = 444  # by us
CLIENT_WENT_AWAY = 499
