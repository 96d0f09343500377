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
  add column client_secret_expires_at timestamptz;

-- clients/: which tokens a client may exchange, for whom and for what (exchange-model.ts); null: none (RFC 8693)
alter table clients add column token_exchange jsonb;

-- clients/: whose assertions stand for a client, so that it needs no secret (RFC 7523 §2.1)
create table workloads (
  id uuid primary key,
  client_id text not null constraint workloads_client_id_fkey references clients on delete cascade,
  issuer text not null,
  -- null: this installation
  audience text,
  -- a pattern; null: any subject whose claims fit
  subject text,
  -- claim to the values that it may have
  claims jsonb not null,
  -- the issuer's keys; null: by its discovery document
  jwks jsonb,
  -- an assertion may be presented again until it expires
  reusable boolean not null,
  created_at timestamptz not null
);
create index workloads_client_id_idx on workloads (client_id);
create index workloads_issuer_idx on workloads (issuer);

-- oidc/: JWT access tokens that were taken back before their time; kept until then (RFC 7009)
create table revoked_tokens (
  jti_hash bytea primary key,
  expires_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0.02);
create index revoked_tokens_expires_at_idx on revoked_tokens (expires_at);
