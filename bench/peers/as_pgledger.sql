CREATE FUNCTION text_id(kind text) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT kind || '_' || encode(substring(int8send((extract(epoch FROM clock_timestamp()) * 1000000)::bigint) FROM 2) || substring(uuid_send(gen_random_uuid()) FROM 8), 'hex')
$$

CREATE TABLE text_account (id text PRIMARY KEY, name text NOT NULL, currency text NOT NULL, balance numeric NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 0, may_be_negative boolean NOT NULL, may_be_positive boolean NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL)

CREATE TABLE text_transfer (id text PRIMARY KEY DEFAULT text_id('t'), from_id text NOT NULL REFERENCES text_account (id),
  to_id text NOT NULL REFERENCES text_account (id), amount numeric NOT NULL CHECK (amount > 0), created_at timestamptz NOT NULL, event_at timestamptz NOT NULL,
  CHECK (from_id <> to_id))

CREATE INDEX text_transfer_from ON text_transfer (from_id)

CREATE INDEX text_transfer_to ON text_transfer (to_id)

CREATE INDEX text_transfer_event ON text_transfer (event_at)

CREATE TABLE text_entry (id text PRIMARY KEY DEFAULT text_id('e'), account_id text NOT NULL REFERENCES text_account (id),
  transfer_id text NOT NULL REFERENCES text_transfer (id), amount numeric NOT NULL, before numeric NOT NULL, after numeric NOT NULL,
  version bigint NOT NULL, created_at timestamptz NOT NULL)

CREATE INDEX text_entry_account ON text_entry (account_id)

CREATE INDEX text_entry_transfer ON text_entry (transfer_id)

INSERT INTO text_account (id, name, currency, may_be_negative, may_be_positive, created_at, updated_at)
  SELECT 'a_' || lpad(n::text, 30, '0'), 'account ' || n, 'CNY', true, true, now(), now() FROM generate_series(1, 40) n

CREATE FUNCTION text_transfers(payers text[], payees text[], amounts numeric[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE number text; payer text_account; payee text_account; made text[] := '{}';
BEGIN
  PERFORM 1 FROM text_account WHERE id = ANY (payers) OR id = ANY (payees) ORDER BY id FOR UPDATE;
  FOR each IN 1 .. cardinality(payers) LOOP
    UPDATE text_account SET balance = balance - amounts[each], version = version + 1, updated_at = now() WHERE id = payers[each] RETURNING * INTO payer;
    UPDATE text_account SET balance = balance + amounts[each], version = version + 1, updated_at = now() WHERE id = payees[each] RETURNING * INTO payee;
    IF payer.currency <> payee.currency OR payer.balance < 0 AND NOT payer.may_be_negative OR payee.balance > 0 AND NOT payee.may_be_positive THEN
      RAISE EXCEPTION 'refused';
    END IF;
    INSERT INTO text_transfer (from_id, to_id, amount, created_at, event_at) VALUES (payer.id, payee.id, amounts[each], now(), now()) RETURNING id INTO number;
    INSERT INTO text_entry (account_id, transfer_id, amount, before, after, version, created_at)
      VALUES (payer.id, number, -amounts[each], payer.balance + amounts[each], payer.balance, payer.version, now());
    INSERT INTO text_entry (account_id, transfer_id, amount, before, after, version, created_at)
      VALUES (payee.id, number, amounts[each], payee.balance - amounts[each], payee.balance, payee.version, now());
    made := made || number;
  END LOOP;
  RETURN QUERY SELECT id FROM text_transfer WHERE id = ANY (made) ORDER BY id;
END $$
