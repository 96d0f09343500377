-- Every further way of proving who one is, the ways back in, the browsers that are known, and the count of guesses.

-- accounts/: after “this wasn't me” no way of signing in may be added, changed or removed before this moment.
alter table accounts add column factor_changes_frozen_until timestamptz;

-- What a mail's link or code may do, once. One table for every kind; the confirmation of a sign-up has its own, for it
-- carries what was typed.
create table security_tokens (
  token_hash bytea primary key,
  kind text not null constraint security_tokens_kind_check check (
    kind in ('reset_password', 'sign_in', 'change_address', 'undo_address', 'not_me')),
  -- null: asked for by somebody at an address that nobody has; nothing matches it, but it costs the same
  account_id uuid constraint security_tokens_account_id_fkey references accounts on delete cascade,
  -- where a code was mailed as well: HMAC-SHA-256 over token_hash and the digits under ENCRYPTION_KEY
  code_hash bytea,
  code_attempts_left smallint not null default 0,
  -- the browser or sign-in that asked, as SHA-256 of a secret of its own: a code counts there alone; null: any
  asked_by_hash bytea,
  -- what it will change: the addresses, for one
  data jsonb not null default '{}',
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index security_tokens_account_id_idx on security_tokens (account_id, kind);
create index security_tokens_asked_by_hash_idx on security_tokens (asked_by_hash, kind) where asked_by_hash is not null;
create index security_tokens_expires_at_idx on security_tokens (expires_at);

-- credentials/: time-based one-time passwords (RFC 6238), passkeys and security keys (WebAuthn), recovery codes
create table totp_credentials (
  id uuid primary key,
  account_id uuid not null constraint totp_credentials_account_id_fkey references accounts on delete cascade,
  name text not null,
  secret_sealed bytea not null,
  -- the last 30-second step that a code was taken of: none before it, and not itself, is taken again
  last_used_step bigint not null,
  created_at timestamptz not null,
  last_used_at timestamptz
);
create index totp_credentials_account_id_idx on totp_credentials (account_id);

create table webauthn_credentials (
  id uuid primary key,
  account_id uuid not null constraint webauthn_credentials_account_id_fkey references accounts on delete cascade,
  credential_id bytea not null constraint webauthn_credentials_credential_id_key unique,
  -- COSE_Key
  public_key bytea not null,
  sign_count bigint not null,
  transports text[] not null default '{}',
  aaguid uuid not null,
  name text not null,
  -- may be synced between devices (BE), and is (BS)
  backup_eligible boolean not null,
  backed_up boolean not null,
  -- made with the person verified by the authenticator, so it can be the only thing needed
  user_verified boolean not null,
  -- the counter went back: somebody may have a copy
  sign_count_regressed_at timestamptz,
  created_at timestamptz not null,
  last_used_at timestamptz
);
create index webauthn_credentials_account_id_idx on webauthn_credentials (account_id);

create table webauthn_challenges (
  challenge_hash bytea primary key,
  ceremony text not null constraint webauthn_challenges_ceremony_check check (
    ceremony in ('registration', 'sign_in', 'second_factor')),
  -- null with sign_in: whoever has the passkey
  account_id uuid constraint webauthn_challenges_account_id_fkey references accounts on delete cascade,
  -- the sign-in or session that it was made for, as SHA-256
  bound_to bytea not null,
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index webauthn_challenges_account_id_idx on webauthn_challenges (account_id) where account_id is not null;
create index webauthn_challenges_expires_at_idx on webauthn_challenges (expires_at);

create table recovery_codes (
  account_id uuid not null constraint recovery_codes_account_id_fkey references accounts on delete cascade,
  -- HMAC-SHA-256 under ENCRYPTION_KEY; a used one is removed
  code_hash bytea not null,
  created_at timestamptz not null,
  primary key (account_id, code_hash)
);

-- How often secrets of an account, from a browser or from a network, were guessed at of late. The key is a hash.
create table guess_budgets (
  key_hash bytea primary key,
  failures integer not null,
  -- nothing more is looked at before this moment
  blocked_until timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
create index guess_budgets_expires_at_idx on guess_budgets (expires_at);

-- Work that was proven, each good for one form.
create table spent_proofs_of_work (
  challenge_hash bytea primary key,
  expires_at timestamptz not null
);
create index spent_proofs_of_work_expires_at_idx on spent_proofs_of_work (expires_at);

-- sessions/: the browsers that somebody signed in with before, each by the hash of its cookie
create table devices (
  id uuid primary key,
  account_id uuid not null constraint devices_account_id_fkey references accounts on delete cascade,
  token_hash bytea not null,
  user_agent text not null,
  created_at timestamptz not null,
  last_seen_at timestamptz not null,
  -- the second factor is not asked for here before this moment; null: it is
  trusted_until timestamptz,
  expires_at timestamptz not null,
  constraint devices_account_id_token_hash_key unique (account_id, token_hash)
);
create index devices_expires_at_idx on devices (expires_at);

-- roles/: what somebody is, for policies to speak of
create table role_assignments (
  account_id uuid not null constraint role_assignments_account_id_fkey references accounts on delete cascade,
  role text not null,
  created_at timestamptz not null,
  primary key (account_id, role)
);

-- clients/: how surely people must prove who they are to use it; null: as the installation says
alter table clients add column required_acr text
  constraint clients_required_acr_check check (required_acr in ('urn:gatehouse:acr:1fa', 'urn:gatehouse:acr:mfa', 'urn:gatehouse:acr:phr'));
