-- Whoever asks for commitment is told of what it delivered itself, so the arrivals of a content are looked up (`study`
-- read all arrivals for it). By hash: 37 bytes for each image ever sent, where a tree of digests takes 125. A
-- large catalog has it built beforehand, while it is written (docs/operations.md).
CREATE INDEX IF NOT EXISTS arrivals_by_digest ON arrivals USING hash (digest);
