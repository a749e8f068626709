-- What the data set without pixel data is, by its digest (imaging.instance.validated): a header that is read alone can be
-- checked by it. Null of what was judged before: such an instance is read whole when its header is wanted.
ALTER TABLE verdicts ADD COLUMN metadata_sha256 text COLLATE "C";
