CREATE TABLE peer_account (id bigint PRIMARY KEY, balance numeric NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 0, updated_at timestamptz)

CREATE TABLE peer_transfer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, from_id bigint, to_id bigint, amount numeric, created_at timestamptz)

CREATE TABLE peer_entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id bigint, transfer_id bigint, amount numeric, before numeric,
  after numeric, version bigint, created_at timestamptz)

CREATE INDEX peer_entry_account ON peer_entry (account_id)

CREATE INDEX peer_entry_transfer ON peer_entry (transfer_id)

INSERT INTO peer_account (id) SELECT n FROM generate_series(1, 40) n

CREATE FUNCTION peer_transfer(payer bigint, payee bigint, sum numeric) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE number bigint; had numeric; v bigint;
BEGIN
  PERFORM 1 FROM peer_account WHERE id IN (payer, payee) ORDER BY id FOR UPDATE;
  INSERT INTO peer_transfer (from_id, to_id, amount, created_at) VALUES (payer, payee, sum, now()) RETURNING id INTO number;
  UPDATE peer_account SET balance = balance - sum, version = version + 1, updated_at = now() WHERE id = payer RETURNING balance, version INTO had, v;
  INSERT INTO peer_entry (account_id, transfer_id, amount, before, after, version, created_at) VALUES (payer, number, -sum, had + sum, had, v, now());
  UPDATE peer_account SET balance = balance + sum, version = version + 1, updated_at = now() WHERE id = payee RETURNING balance, version INTO had, v;
  INSERT INTO peer_entry (account_id, transfer_id, amount, before, after, version, created_at) VALUES (payee, number, sum, had - sum, had, v, now());
  RETURN number;
END $$
