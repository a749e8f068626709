"""For data engineers who replay and measure: rates by topic, times of steps, objects, revisions."""

from infra.dashboards.panels import Dashboard, Panel, Query

ENGINEERING = Dashboard(
    uid="radstream-engineering",
    title="radstream: events and steps",
    says="How much goes by, what each step costs, and what decisions wait for.",
    panels=(
        Panel(
            "Records a second, by topic",
            "All lanes; the last ten seconds as Faust counted them (docs/decisions/0021).",
            (Query("sum by (topic) (radstream_window_records_per_second)", "{{topic}}"),),
            unit="ops",
        ),
        Panel(
            "Time since receipt, by topic",
            "Mean of the last ten seconds: how far along the way each topic is.",
            (Query("max by (topic) (radstream_window_latency_mean_seconds)", "{{topic}}"),),
            unit="s",
        ),
        Panel(
            "Time of one call of a step",
            "Seconds for 95 of 100 calls, whatever the size of their batches.",
            (
                Query(
                    "histogram_quantile(0.95, sum by (group, le) (rate(radstream_step_seconds_bucket[5m])))",
                    "{{group}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Read and not yet settled",
            "Back pressure acts on it.",
            (Query("sum by (group) (radstream_in_flight)", "{{group}}"),),
        ),
        Panel(
            "Records that were seen before",
            "Duplicates a second: harmless, and worth a look after a crash or during a replay.",
            (Query('radstream:records:rate5m{outcome="duplicate"}', "{{group}}"),),
            unit="ops",
        ),
        Panel(
            "Objects put",
            "By store. already_there is a second delivery that made nothing new.",
            (Query("sum by (store, result) (rate(radstream_objects_total[5m]))", "{{store}} {{result}}"),),
            unit="ops",
        ),
        Panel(
            "Bytes put",
            "By store, a second.",
            (Query("sum by (store) (rate(radstream_object_bytes_total[5m]))", "{{store}}"),),
            unit="Bps",
        ),
        Panel(
            "Decisions",
            "Read back, a second: counted, or stale for a later one of a number.",
            (Query("sum by (step, outcome) (rate(radstream_decisions_total[5m]))", "{{step}} {{outcome}}"),),
            unit="ops",
        ),
        Panel(
            "Studies that wait for a decision",
            "By step: for quiet (revisions), or for a look (tiering).",
            (Query("sum by (step) (radstream_entities_waiting)", "{{step}}"),),
        ),
        Panel(
            "Time of a catalog transaction",
            "Seconds for 95 of 100: rows and ledger together.",
            (
                Query(
                    "histogram_quantile(0.95, sum by (le) (rate(radstream_catalog_batch_seconds_bucket[5m])))",
                    "transaction",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Oldest waiting record, by modality",
            "Of those sampled, all lanes: a replay of one modality shows here.",
            (
                Query(
                    "max by (group, modality) (radstream_group_oldest_of_modality_seconds)",
                    "{{group}} {{modality}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Versions that run",
            "One line for each service; two of one service are a deployment under way.",
            (Query("count by (service, version) (radstream_build_info)", "{{service}} {{version}}"),),
            kind="table",
        ),
    ),
)
