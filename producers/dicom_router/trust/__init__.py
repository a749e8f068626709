"""Who may send, and how it is proven: AE titles by allow list, addresses, certificates (PS3.15 annex B.12).

Flows in: the peers file, the files of TLS, connections before their association, and what their peers ask for.
Flows out: an admission, or a refusal that is logged, counted and audited. Touches: those files, and sockets.
"""
