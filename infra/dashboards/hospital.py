"""For hospitals that point scanners at the router: does it take our images, and where are they?"""

from infra.dashboards.panels import Dashboard, Panel, Query

HOSPITAL = Dashboard(
    uid="radstream-hospital",
    title="radstream: images from scanners",
    says="Whether images are taken, how soon they can be seen, and what is held.",
    panels=(
        Panel(
            "The router takes images",
            "1 while it can keep what it acknowledges. At 0 scanners keep their images, and send again.",
            (
                Query(
                    'clamp_min(min(up{job="router"}) - (max(radstream_check_failing{check="commit"}) or vector(0)), 0)',
                    "takes images",
                ),
            ),
            kind="stat",
            width=6,
        ),
        Panel(
            "Open associations",
            "Scanners and workstations that are connected now.",
            (Query("sum(radstream_associations)", "associations"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Images refused, last hour",
            "Out of resources (A7xx): nothing was lost, the scanner has to send again. radstream doctor says why.",
            (Query('sum(increase(radstream_cstore_responses_total{status=~"A7.."}[1h])) or vector(0)', "refused"),),
            kind="stat",
            width=6,
            bad=1,
        ),
        Panel(
            "Images held, last hour",
            "Quarantined, each with a reason: radstream quarantine list.",
            (
                Query(
                    '(sum(increase(radstream_records_total{group="validate", outcome="quarantine"}[1h])) or vector(0))'
                    " + (sum(increase(radstream_contradicting_instances_total[1h])) or vector(0))",
                    "held",
                ),
            ),
            kind="stat",
            width=6,
            warn=1,
        ),
        Panel(
            "Images a second, by answer",
            "0000 is success; A7xx is refused for now; others are the image's own fault (PS3.4 annex B.2.3).",
            (Query("radstream:cstore_responses:rate5m", "{{status}}"),),
            unit="ops",
        ),
        Panel(
            "From scanner to study list",
            "Seconds until 95 of 100 images are in the catalog, by lane.",
            (Query("radstream:end_to_end_seconds:p95_5m", "{{lane}}"),),
            unit="s",
            warn=30,
            bad=60,
        ),
        Panel(
            "Images a second, by modality",
            "A picture of the last ten seconds, not an account.",
            (
                Query(
                    'sum by (modality) (radstream_window_records_per_second{topic="imaging.instance.received"})',
                    "{{modality}}",
                ),
            ),
            unit="ops",
        ),
        Panel(
            "Share of images held",
            "Of an hour. A step up after a scanner's update is worth a call to its maker.",
            (Query("radstream:quarantined:ratio1h", "held"),),
            unit="percentunit",
            bad=0.05,
        ),
        Panel(
            "Images that wait for a person",
            "Held and not decided on, by reason: radstream quarantine list, then show, release or reject.",
            (Query("max by (reason) (radstream_quarantine_open)", "{{reason}}"),),
            bad=1,
        ),
        Panel(
            "Findings, an hour",
            "Images in which a rule was broken; they flow all the same. radstream findings says of which modality.",
            (Query("sum by (rule) (increase(radstream_findings_total[1h]))", "{{rule}}"),),
        ),
        Panel(
            "Who may not send, an hour",
            "Associations refused, by reason. The audit has more, radstream peers list who may.",
            (Query("sum by (why) (increase(radstream_associations_refused_total[1h]))", "{{why}}"),),
        ),
        Panel(
            "Days until something ends",
            "Certificates, revocation lists and exceptions from TLS; at 0 scanners stop. radstream doctor says which.",
            (Query("min by (section, what) (radstream_trust_days_left)", "{{section}} {{what}}"),),
        ),
    ),
)
