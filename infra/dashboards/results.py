"""For radiology information systems and who reads results: do they come, how soon, and of which models?"""

from infra.dashboards.panels import Dashboard, Panel, Query

RESULTS = Dashboard(
    uid="radstream-results",
    title="radstream: results",
    says="What models say, how long it takes, and what fails. Every result is preliminary until a person reviewed it.",
    panels=(
        Panel(
            "Results, last hour",
            "By what was said. out_of_scope and not_analysed are answers too: radstream results.",
            (Query("sum by (outcome) (increase(radstream_model_results_total[1h]))", "{{outcome}}"),),
            kind="stat",
            width=12,
        ),
        Panel(
            "Oldest request that waits",
            "For inference, by lane: radstream lag ai --watch.",
            (Query('radstream_group_oldest_seconds{group="ai"}', "{{lane}}"),),
            unit="s",
            bad=1800,
        ),
        Panel(
            "Results a second, by model",
            "Each deployed model has results of its own.",
            (Query("sum by (deployment) (rate(radstream_model_results_total[5m]))", "{{deployment}}"),),
            unit="ops",
        ),
        Panel(
            "Time in the model",
            "Seconds for 95 of 100 requests, without reading and preparing the images.",
            (
                Query(
                    "histogram_quantile(0.95, sum by (deployment, le) (rate(radstream_model_seconds_bucket[15m])))",
                    "{{deployment}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Tries that failed",
            "By model and reason, in a quarter of an hour. After the last try the result says failed.",
            (Query("radstream:model_failures:increase15m", "{{deployment}}: {{code}}"),),
            bad=3,
        ),
        Panel(
            "From receipt to result",
            "Mean and longest of the last ten seconds, by lane: a picture, not an account.",
            (
                Query(
                    'max by (lane) (radstream_window_latency_mean_seconds{topic="imaging.inference.result"})',
                    "{{lane}} mean",
                ),
                Query(
                    'max by (lane) (radstream_window_latency_max_seconds{topic="imaging.inference.result"})',
                    "{{lane}} longest",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Requests that were given up",
            "Dead letters of inference: radstream deadletters list ai.",
            (Query('sum(radstream_dead_letters_total{group="ai"}) or vector(0)', "dead letters"),),
            kind="stat",
            bad=1,
        ),
        Panel(
            "Results on their way to the catalog",
            "Records that wait for it; what people see is so far behind.",
            (Query('sum by (lane) (radstream_group_lag_records{group="catalog"})', "{{lane}}"),),
        ),
    ),
)
