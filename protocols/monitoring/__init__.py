"""Health and metrics of the server over HTTP: for balancers, for Prometheus, and for whoever is on call.

GET /health          every part; 503 if one has failed
GET /health/live     200 as long as the process answers
GET /health/{system} one part, or all parts of one system
GET /metrics         Prometheus text format, or OpenMetrics
"""
