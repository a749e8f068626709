"""Who a person may be here: the patient demographics supplier is asked (IHE ITI-21, PDQ), and its answers are judged.

Flows in: what a study from outside says of its patient. Flows out: patients as the supplier has them, and how well each
agrees. Touches: one connection to the supplier for each query. Nothing of it is logged.
"""
