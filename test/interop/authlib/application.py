"""An application on Authlib, told what to do by lines of JSON on standard input, each answered by a line of JSON.

Started with the issuer as its argument. A request is {"do": "<name of a function below>", ...its arguments}; an answer is
{"result": ...} or {"error": ..., "description": ...}.
"""

import json
import sys

from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.jose.errors import JoseError
from authlib.oauth2.rfc7523 import (
    ClientSecretJWT,
    PrivateKeyJWT,
    client_secret_jwt_sign,
    private_key_jwt_sign,
)
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata

ISSUER = sys.argv[1]


class ShortSecretAssertion(ClientSecretJWT):
    """Authlib's assertions are good for an hour, and Gatehouse takes none that is for more than five minutes."""

    def sign(self, auth, token_endpoint):
        return client_secret_jwt_sign(
            auth.client_secret, auth.client_id, token_endpoint, expires_in=60
        )


class ShortKeyAssertion(PrivateKeyJWT):
    def sign(self, auth, token_endpoint):
        return private_key_jwt_sign(
            auth.client_secret, auth.client_id, token_endpoint, alg="ES256", expires_in=60
        )


session = None
sent = {}
server = {}


def get(path):
    answer = OAuth2Session().get(ISSUER + path, withhold_token=True)
    answer.raise_for_status()
    return answer.json()


def discover():
    """Both documents, each checked by the model of its specification."""
    for path, model in {
        "/.well-known/openid-configuration": OpenIDProviderMetadata,
        "/.well-known/oauth-authorization-server": AuthorizationServerMetadata,
    }.items():
        document = model(get(path))
        server.update(document)
        # The model wants `none` among them, as unsigned request objects once had to be taken.
        document.pop("request_object_signing_alg_values_supported", None)
        document.validate()
    return server


def become(client, scope=None, key=None, short=True):
    """Which of the registered clients this application is from now on; not `short`: with assertions as Authlib makes them."""
    global session
    method = client.get("token_endpoint_auth_method", "client_secret_basic")
    session = OAuth2Session(
        client["client_id"],
        key or client.get("client_secret"),
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        redirect_uri=(client.get("redirect_uris") or [None])[0],
        scope=scope,
        code_challenge_method="S256",
    )
    for assertion in (
        (ShortSecretAssertion(), ShortKeyAssertion()) if short else (PrivateKeyJWT(alg="ES256"),)
    ):
        session.register_client_auth_method(assertion)


def begin(**params):
    """The URL to send the browser to."""
    sent.update(code_verifier=generate_token(48), nonce=generate_token(20))
    url, sent["state"] = session.create_authorization_url(
        server["authorization_endpoint"],
        code_verifier=sent["code_verifier"],
        nonce=sent["nonce"],
        **params,
    )
    return url


def finish(url):
    """Takes the URL that the browser came back to, redeems its code, and believes the ID token only after checking it."""
    token = session.fetch_token(
        server["token_endpoint"],
        authorization_response=url,
        state=sent["state"],
        code_verifier=sent["code_verifier"],
    )
    return {"token": token, "claims": verify(token["id_token"], token["access_token"])}


def verify(id_token, access_token=None, nonce=None):
    keys = JsonWebKey.import_key_set(get("/jwks"))
    claims = JsonWebToken(["ES256", "RS256", "EdDSA"]).decode(
        id_token,
        keys,
        claims_cls=CodeIDToken,
        claims_options={"iss": {"essential": True, "value": ISSUER}},
        claims_params={
            "client_id": session.client_id,
            "nonce": nonce or sent["nonce"],
            "access_token": access_token,
        },
    )
    claims.validate()
    return {"header": claims.header, **claims}


def userinfo():
    answer = session.get(server["userinfo_endpoint"])
    return {"status": answer.status_code, "body": answer.json() if answer.ok else None}


def refresh(refresh_token):
    return session.refresh_token(server["token_endpoint"], refresh_token=refresh_token)


def credentials(**params):
    return session.fetch_token(server["token_endpoint"], grant_type="client_credentials", **params)


def introspect(token, hint=None):
    return session.introspect_token(
        server["introspection_endpoint"], token=token, token_type_hint=hint
    ).json()


def revoke(token, hint=None):
    return session.revoke_token(
        server["revocation_endpoint"], token=token, token_type_hint=hint
    ).status_code


def answer(request):
    try:
        return {"result": globals()[request.pop("do")](**request)}
    except (OAuthError, JoseError) as error:
        return {"error": error.error, "description": error.description}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
