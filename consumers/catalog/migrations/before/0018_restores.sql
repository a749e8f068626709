-- How long the last restores took is asked with each answer that promises one: of millions of moves few are restores.
CREATE INDEX tier_moves_restored ON tier_moves (tenant, decided_at DESC) WHERE why = 'recall' AND phase = 'switched';
