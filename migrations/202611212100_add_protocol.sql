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

-- oidc/: by which a person names what they agreed to, to take it back
alter table consents
  add column id uuid not null default gen_random_uuid()
    constraint consents_id_key unique;
