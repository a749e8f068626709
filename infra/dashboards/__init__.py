"""One Grafana dashboard for each kind of user, as code.

Flows in: nothing. Flows out: dashboards as JSON files (Grafana's dashboard model, schema version 39). Touches: the
folder that it is told to write into. `python -m infra.dashboards FOLDER`
"""
