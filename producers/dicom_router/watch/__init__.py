"""A folder that files are put into, by hand or by what knows no network, into the same archive as C-STORE.

Flows in: files that have stopped growing. Flows out: a request to store for each; the file goes to `done` once that is
acknowledged, to `failed` with a reason where it is refused. Touches: the one folder. Deletes nothing.
"""
