// The authorization server's metadata (RFC 8414, OpenID Connect Discovery 1.0), where the library's is not the whole truth.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { describeMtls, type Metadata } from './mtls.ts'
import type { Oidc } from './oidc.ts'
import { protectedResourceMetadata } from './protected-resource.ts'

/** Corrects the library's answer; it is asked for once, and kept (oidc.ts). */
export function finishMetadata({ ctx: { config } }: Oidc, ctx: KoaContextWithOIDC): void {
  const metadata = ctx.body as Metadata
  describeMtls(config, metadata)
  // The library says true of every provider that knows the parameter.
  if (config.ciba) metadata.backchannel_user_code_parameter_supported = false
  // RFC 9728 §4
  metadata.protected_resources = [protectedResourceMetadata(config).resource]
  if (config.conformance) describeRequestObjects(metadata)
  // RFC 8414 §3.2: what is empty is left out.
  for (const [name, value] of Object.entries(metadata))
    if (Array.isArray(value) && value.length === 0) delete metadata[name]
}

/** What request-objects.ts adds. @see OpenID Connect Discovery 1.0 §3 */
function describeRequestObjects(metadata: Metadata): void {
  metadata.request_uri_parameter_supported = true
  metadata.require_request_uri_registration = true
  const algorithms = metadata.request_object_signing_alg_values_supported as string[]
  metadata.request_object_signing_alg_values_supported = [...algorithms, 'none']
}
