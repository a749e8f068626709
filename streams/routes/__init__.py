"""Routes: what a site's rules want to be done with an instance. Router, forwarder and command line ask here.

Flows in: a site's rules, one TOML file, and what is known of an instance: its event, and its bytes where a rule looks
at tags. Flows out: decisions as values. Touches: the rules file, which it reads.
"""
