-- The first schema: applications, keys, people, their credentials, what the protocol stores, mail, audit.
-- Token tables start flat and are emptied in batches; the audit trail is partitioned by month from the first day.

-- keys/: one row a signing key. The private half is sealed under ENCRYPTION_KEY.
create table signing_keys (
  kid text primary key,
  alg text not null constraint signing_keys_alg_check check (alg in ('ES256', 'RS256', 'EdDSA')),
  -- next: published, not yet signing · active: signs · retired: still published for tokens already out
  state text not null constraint signing_keys_state_check check (state in ('next', 'active', 'retired')),
  public_jwk jsonb not null,
  private_jwk_sealed bytea not null,
  created_at timestamptz not null,
  activated_at timestamptz,
  retired_at timestamptz
);
create unique index signing_keys_alg_active_key on signing_keys (alg) where state = 'active';
create unique index signing_keys_alg_next_key on signing_keys (alg) where state = 'next';

-- clients/: registered applications (RFC 7591 metadata) and the resources that they may ask tokens for (RFC 8707).
create table clients (
  client_id text primary key,
  -- SHA-256 of the secret; the sealed form only for methods that need it back (client_secret_jwt, HS256)
  client_secret_hash bytea,
  client_secret_sealed bytea,
  client_name text not null,
  application_type text not null constraint clients_application_type_check check (application_type in ('web', 'native')),
  redirect_uris text[] not null,
  post_logout_redirect_uris text[] not null,
  grant_types text[] not null,
  response_types text[] not null,
  token_endpoint_auth_method text not null,
  -- null: every scope of OpenID Connect and of its resources
  scope text,
  -- resource indicators that it may ask tokens for; empty: none, so that a new resource is open to nobody by accident
  resources text[] not null default '{}',
  -- consent is skipped: the operator's own application
  first_party boolean not null default false,
  -- it guards a resource: it may introspect tokens that other clients were given (RFC 7662 §2.1)
  introspection boolean not null default false,
  -- null: the resource's or the installation's choice
  access_token_signing_alg text
    constraint clients_access_token_signing_alg_check check (access_token_signing_alg in ('ES256', 'RS256', 'EdDSA')),
  -- RFC 7591 members that only the protocol library reads: logo_uri, policy_uri, tos_uri, contacts, algorithms, ...
  other_metadata jsonb not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint clients_secret_check check (client_secret_hash is null or client_secret_sealed is null)
);

create table resources (
  identifier text primary key,
  name text not null,
  scopes text[] not null,
  access_token_format text not null constraint resources_access_token_format_check check (access_token_format in ('jwt', 'opaque')),
  -- null: the client's or the installation's choice; a resource that names one knows no other
  access_token_signing_alg text
    constraint resources_access_token_signing_alg_check check (access_token_signing_alg in ('ES256', 'RS256', 'EdDSA')),
  -- null: the installation's default
  access_token_lifetime_seconds integer,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

-- accounts/: people and the proof of their addresses.
create table accounts (
  id uuid primary key,
  -- as typed, trimmed; shown and written to
  email text not null,
  -- normalised once in accounts/model.ts; what uniqueness and every look-up use
  email_key text not null constraint accounts_email_key_key unique,
  email_verified_at timestamptz,
  name text not null,
  -- further standard claims (OpenID Connect Core 1.0 §5.1), spelled as the spec spells them
  profile jsonb not null default '{}',
  disabled_at timestamptz,
  -- sessions and tokens made before this moment are void
  tokens_valid_from timestamptz not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
-- retention: accounts never confirmed are removed after a while
create index accounts_unverified_created_at_idx on accounts (created_at) where email_verified_at is null;

create table account_email_tokens (
  token_hash bytea primary key,
  account_id uuid not null constraint account_email_tokens_account_id_fkey references accounts on delete cascade,
  email_key text not null,
  -- HMAC-SHA-256 over token_hash and the six digits under ENCRYPTION_KEY: a bare hash of six digits is guessed at once
  code_hash bytea not null,
  code_attempts_left smallint not null,
  -- what confirming sets: the name and password typed with this very sign-up, so that an earlier stranger's are void
  name text,
  password_hash text,
  -- the sign-in that waits for this confirmation; null: none does
  interaction_hash bytea,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  -- a sign-in has one token for an account, which the next mail replaces; also the foreign key's index
  constraint account_email_tokens_account_id_interaction_hash_key unique (account_id, interaction_hash)
);
create index account_email_tokens_expires_at_idx on account_email_tokens (expires_at);

-- credentials/
create table password_credentials (
  account_id uuid primary key constraint password_credentials_account_id_fkey references accounts on delete cascade,
  -- PHC string
  password_hash text not null,
  updated_at timestamptz not null
);

-- sessions/: one row a browser session, keyed by uid. Its cookies are beside it: a rotated one stays good for seconds, and two
-- requests that rotate at once leave two good ones, so neither answer's cookie is dead.
create table sessions (
  uid text primary key,
  account_id uuid constraint sessions_account_id_fkey references accounts on delete cascade,
  acr text,
  amr text[],
  login_at timestamptz,
  -- compared with accounts.tokens_valid_from
  authenticated_at timestamptz,
  transient boolean not null default false,
  state jsonb,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz not null
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
create index sessions_account_id_idx on sessions (account_id);
create index sessions_expires_at_idx on sessions (expires_at);

create table session_ids (
  id_hash bytea primary key,
  session_uid text not null constraint session_ids_session_uid_fkey references sessions on delete cascade,
  -- null: the current cookie
  valid_until timestamptz
);
create index session_ids_session_uid_idx on session_ids (session_uid);

create table session_clients (
  session_uid text not null constraint session_clients_session_uid_fkey references sessions on delete cascade,
  client_id text not null,
  sid text,
  grant_id text,
  persists_logout boolean not null default false,
  primary key (session_uid, client_id)
);

-- oidc/: what the protocol stores. Ids that are secrets are SHA-256, their payloads carry no jti; a grant's id is no secret.
create table grants (
  id text primary key,
  account_id uuid not null constraint grants_account_id_fkey references accounts on delete cascade,
  client_id text not null constraint grants_client_id_fkey references clients on delete cascade,
  payload jsonb not null,
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index grants_account_id_client_id_idx on grants (account_id, client_id);
create index grants_client_id_idx on grants (client_id);
create index grants_expires_at_idx on grants (expires_at);

-- what a person agreed to, per application: outlives the grants, which belong to one browser session each
create table consents (
  account_id uuid not null constraint consents_account_id_fkey references accounts on delete cascade,
  client_id text not null constraint consents_client_id_fkey references clients on delete cascade,
  scopes text[] not null,
  claims text[] not null,
  -- resource indicator to scopes
  resources jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (account_id, client_id)
);
create index consents_client_id_idx on consents (client_id);

create table refresh_tokens (
  id_hash bytea primary key,
  grant_id text not null,
  account_id uuid not null,
  client_id text not null,
  -- the session that it ends with, if it does
  session_uid text,
  payload jsonb not null,
  -- not indexed, so that consuming stays a heap-only update
  consumed_at timestamptz,
  -- the successor's value under a key derived from this token: a retry within the grace window gets the same answer
  successor_sealed bytea,
  created_at timestamptz not null,
  expires_at timestamptz not null
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
create index refresh_tokens_grant_id_idx on refresh_tokens (grant_id);
create index refresh_tokens_expires_at_idx on refresh_tokens (expires_at);

create table access_tokens (
  id_hash bytea primary key,
  kind text not null constraint access_tokens_kind_check check (kind in ('AccessToken', 'ClientCredentials')),
  grant_id text,
  account_id uuid,
  client_id text not null,
  session_uid text,
  payload jsonb not null,
  created_at timestamptz not null,
  expires_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0.02);
create index access_tokens_grant_id_idx on access_tokens (grant_id) where grant_id is not null;
create index access_tokens_expires_at_idx on access_tokens (expires_at);

-- one row a sign-in under way
create table interactions (
  id_hash bytea primary key,
  client_id text,
  -- who is signing in, once known
  account_id uuid constraint interactions_account_id_fkey references accounts on delete cascade,
  -- when that was proven in this sign-in; compared with accounts.tokens_valid_from
  authenticated_at timestamptz,
  -- the protocol library's part
  payload jsonb not null,
  -- Gatehouse's part (interactions/model.ts)
  progress jsonb not null default '{}',
  created_at timestamptz not null,
  expires_at timestamptz not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
create index interactions_account_id_idx on interactions (account_id) where account_id is not null;
create index interactions_expires_at_idx on interactions (expires_at);

-- codes, pushed requests, device codes, replay marks
create table oidc_artifacts (
  id_hash bytea not null,
  model text not null,
  grant_id text,
  account_id uuid,
  client_id text,
  session_uid text,
  user_code_hash bytea constraint oidc_artifacts_user_code_hash_key unique,
  payload jsonb not null,
  consumed_at timestamptz,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (id_hash, model)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
create index oidc_artifacts_grant_id_idx on oidc_artifacts (grant_id) where grant_id is not null;
create index oidc_artifacts_expires_at_idx on oidc_artifacts (expires_at);

-- mail/: the outbox. Contents are sealed (they carry links and codes) and dropped once sent.
create table mail_outbox (
  id uuid primary key,
  kind text not null,
  -- SHA-256 of the normalised recipient: caps on mail per recipient are counted by it
  recipient_hash bytea not null,
  content_sealed bytea,
  -- never sent after this moment: an expired link helps nobody
  send_before timestamptz not null,
  sent_at timestamptz,
  failed_at timestamptz,
  created_at timestamptz not null
);
create index mail_outbox_recipient_hash_idx on mail_outbox (recipient_hash, kind, created_at);
create index mail_outbox_created_at_idx on mail_outbox (created_at);

-- development only: what would have been sent, newest 200
create table development_mailbox (
  id uuid primary key,
  content_sealed bytea not null,
  sent_at timestamptz not null
);

-- audit/
create table audit_events (
  id uuid not null,
  occurred_at timestamptz not null,
  type text not null,
  account_id uuid,
  client_id text,
  ip inet,
  user_agent text,
  request_id text,
  details jsonb not null default '{}',
  primary key (id, occurred_at)
) partition by range (occurred_at);
create index audit_events_account_id_idx on audit_events (account_id, id) where account_id is not null;
create table audit_events_default partition of audit_events default;
