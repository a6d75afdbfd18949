-- Version 3. A current state that repeats the payload of the entry that made it
-- is stored without it: `payload_at` says at which byte of `body` it belongs.
ALTER TABLE documents ADD COLUMN payload_at INTEGER;
