"""For ops teams: what is up, who is behind, and will it get there?"""

from infra.dashboards.panels import Dashboard, Panel, Query

OPERATIONS = Dashboard(
    uid="radstream-operations",
    title="radstream: operations",
    says="Services, lag by lane, dead letters, tiers, and what each costs.",
    panels=(
        Panel(
            "Services",
            "1 is up. Start one: radstream up NAME. Its log's last line says why it stopped.",
            (Query("up", "{{job}}"),),
            kind="stat",
            width=8,
        ),
        Panel(
            "What is away",
            "By service and check; empty is well. radstream doctor says more.",
            (Query("radstream_check_failing == 1", "{{job}}: {{check}}"),),
            kind="table",
            width=8,
        ),
        Panel(
            "Lag was measured",
            "The figures below are of this moment. More than two minutes: radstream up lag.",
            (Query("radstream_lag_measured_timestamp_seconds * 1000", "measured"),),
            unit="dateTimeFromNow",
            kind="stat",
            width=8,
        ),
        Panel(
            "Oldest waiting record, urgent",
            "By group. More than two minutes wakes somebody: radstream lag GROUP --watch.",
            (Query('radstream_group_oldest_seconds{lane="stat"}', "{{group}}"),),
            unit="s",
            width=8,
            bad=120,
        ),
        Panel(
            "Oldest waiting record, routine",
            "By group. Revisions wait until a study was quiet.",
            (Query('radstream_group_oldest_seconds{lane=~"routine|-"}', "{{group}} {{lane}}"),),
            unit="s",
            width=8,
            bad=1800,
        ),
        Panel(
            "Oldest waiting record, bulk",
            "A night of backfill may wait a day.",
            (Query('radstream_group_oldest_seconds{lane="bulk"}', "{{group}}"),),
            unit="s",
            width=8,
            bad=86400,
        ),
        Panel(
            "Records that wait",
            "End of the log less the committed offset: Kafka's own figure.",
            (Query("sum by (group, lane) (radstream_group_lag_records)", "{{group}} {{lane}}"),),
        ),
        Panel(
            "Time to catch up",
            "At the rates of the last minute. None: it does not get there.",
            (Query("radstream_group_catch_up_seconds < Inf", "{{group}} {{lane}}"),),
            unit="s",
        ),
        Panel(
            "Written and settled",
            "Records a second. Two lines apart for long are a lag that grows.",
            (
                Query("sum by (group) (radstream_group_in_records_per_second)", "{{group}} written"),
                Query("sum by (group) (radstream_group_out_records_per_second)", "{{group}} settled"),
            ),
            unit="ops",
        ),
        Panel(
            "Outcomes",
            "Records a second that a group settled. Anything but done and duplicate is worth a look.",
            (Query('radstream:records:rate5m{outcome!="done"}', "{{group}} {{outcome}}"),),
            unit="ops",
        ),
        Panel(
            "Dead letters",
            "Since the start of each service: radstream deadletters list GROUP.",
            (Query("sum by (group) (radstream_dead_letters_total)", "{{group}}"),),
            width=8,
            bad=1,
        ),
        Panel(
            "Waiting for another try",
            "Subjects put aside, while the rest goes on.",
            (Query("sum by (group) (radstream_parked_waiting)", "{{group}}"),),
            width=8,
        ),
        Panel(
            "Partitions that are not read",
            "Paused by back pressure, or since something is away.",
            (Query("sum by (group) (radstream_paused_partitions)", "{{group}}"),),
            width=8,
        ),
        Panel(
            "Moves between tiers, last hour",
            "Phases as they are decided; planned without copied is stuck: radstream tier list.",
            (Query("radstream:tier_moves:increase1h", "{{phase}}"),),
            width=8,
        ),
        Panel(
            "Copied to tiers",
            "Bytes a second.",
            (Query("sum by (target) (rate(radstream_tier_copied_bytes_total[5m]))", "{{target}}"),),
            unit="Bps",
            width=8,
        ),
        Panel(
            "Studies that stay where they are",
            "By reason, last hour: radstream tier explain UID.",
            (Query("sum by (why) (increase(radstream_tier_left_total[1h]))", "{{why}}"),),
            width=8,
        ),
        Panel(
            "Cores in use",
            "By service.",
            (Query("sum by (job) (rate(process_cpu_seconds_total[5m]))", "{{job}}"),),
        ),
        Panel(
            "Memory",
            "Resident, by service.",
            (Query("sum by (job) (process_resident_memory_bytes)", "{{job}}"),),
            unit="bytes",
        ),
    ),
)
