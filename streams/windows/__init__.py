"""Windows: how much goes by, and how long after its receipt, counted in windows of ten seconds by Faust.

Flows in: every instance topic, in every lane. Flows out: metrics, and imaging.window.changelog, which nobody else
reads. Touches: Kafka, and a folder of its own.

A picture, not an account. Faust 0.15.3 was measured on Kafka 4.3: over 30,000 inputs and two SIGKILLs its
`exactly_once` doubled 6,191 records, and its `at_least_once` counted 716 for 600. So only what needs no exactness is
here; lag, which people act on, is asked of the log itself (streams/lagging). docs/decisions/0021 says more.
"""
