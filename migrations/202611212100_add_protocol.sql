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

-- oidc/: device codes (RFC 8628) and backchannel authentication requests (OpenID Connect CIBA Core 1.0)
alter table oidc_artifacts
  -- once the person has approved it: when they had proven who they are; compared with accounts.tokens_valid_from
  add column approved_at timestamptz,
  -- when its client last asked whether it was approved, and how long it has to wait until it may again
  add column polled_at timestamptz,
  add column poll_interval_seconds smallint not null default 5;
-- what waits for somebody's approval
create index oidc_artifacts_account_id_idx on oidc_artifacts (account_id) where model = 'BackchannelAuthenticationRequest';
