-- The whole protocol: what clients may be allowed, and what its further grants keep.

-- clients/: each null is the resource's or the installation's choice
alter table clients
  add column security_profile text
    constraint clients_security_profile_check check (security_profile in ('fapi2', 'fapi2-message-signing')),
  add column access_token_format text
    constraint clients_access_token_format_check check (access_token_format in ('jwt', 'opaque')),
  add column access_token_lifetime_seconds integer,
  add column id_token_lifetime_seconds integer,
  add column refresh_token_idle_seconds integer,
  add column refresh_token_absolute_seconds integer,
  add column refresh_token_grace_seconds integer,
  -- whether a refresh token is replaced at each use; null: it is
  add column refresh_token_rotation boolean,
  -- null: never
  add column client_secret_expires_at timestamptz,
  -- who registered it: the operator, itself (RFC 7591), or a document at the URL that its id is
  add column registered_by text not null default 'operator'
    constraint clients_registered_by_check check (registered_by in ('operator', 'registration', 'client_id_metadata_document')),
  -- SHA-256 of what it manages its registration with (RFC 7592); null: it may not
  add column registration_access_token_hash bytea,
  -- to the day; null: never, or registered by the operator, for whom nobody counts
  add column last_used_at timestamptz;
create index clients_unused_idx on clients (coalesce(last_used_at, created_at)) where registered_by <> 'operator';
create index clients_never_used_idx on clients (client_id) where registered_by = 'registration' and last_used_at is null;

-- clients/: who may register an application where that takes a token (RFC 7591 §3)
create table initial_access_tokens (
  id uuid primary key,
  token_hash bytea not null constraint initial_access_tokens_token_hash_key unique,
  name text not null,
  uses_left integer not null constraint initial_access_tokens_uses_left_check check (uses_left >= 0),
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index initial_access_tokens_expires_at_idx on initial_access_tokens (expires_at);

-- oidc/: device codes (RFC 8628) and backchannel authentication requests (OpenID Connect CIBA Core 1.0)
alter table oidc_artifacts
  -- when the person approved it, by the beginning of their request; compared with accounts.tokens_valid_from
  add column approved_at timestamptz,
  -- when its client last asked whether it was approved, and how long it has to wait until it may again
  add column polled_at timestamptz,
  add column poll_interval_seconds smallint not null default 5;
