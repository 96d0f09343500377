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
  -- once the person has approved it: when they had proven who they are; compared with accounts.tokens_valid_from
  add column approved_at timestamptz,
  -- when its client last asked whether it was approved, and how long it has to wait until it may again
  add column polled_at timestamptz,
  add column poll_interval_seconds smallint not null default 5;
-- what waits for somebody's approval
create index oidc_artifacts_account_id_idx on oidc_artifacts (account_id) where model = 'BackchannelAuthenticationRequest';

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

-- oidc/: by which a person names what they agreed to, to take it back
alter table consents
  add column id uuid not null default gen_random_uuid()
    constraint consents_id_key unique;

-- clients/: claims that the operator has filled in by data
create table claim_mappings (
  id uuid primary key,
  claim text not null,
  source text not null constraint claim_mappings_source_check check (source in ('profile', 'roles', 'groups', 'constant')),
  -- of a profile: where in it, with dots between
  path text,
  -- of a constant
  value jsonb,
  -- who gets it: null is any scope, and any client
  scope text,
  client_id text constraint claim_mappings_client_id_fkey references clients on delete cascade,
  destinations text[] not null,
  -- what people read of the scope where they are asked to agree
  description text,
  created_at timestamptz not null,
  constraint claim_mappings_source_path_check check ((source = 'profile') = (path is not null)),
  constraint claim_mappings_source_value_check check ((source = 'constant') = (value is not null)),
  constraint claim_mappings_claim_scope_client_id_key unique nulls not distinct (claim, scope, client_id)
);
create index claim_mappings_client_id_idx on claim_mappings (client_id) where client_id is not null;

-- roles/: what somebody belongs to
create table group_members (
  account_id uuid not null constraint group_members_account_id_fkey references accounts on delete cascade,
  group_name text not null,
  created_at timestamptz not null,
  primary key (account_id, group_name)
);
create index group_members_group_name_idx on group_members (group_name);
